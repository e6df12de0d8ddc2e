// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kuda-io/kuda/scheduler/schedulertest"
)

//go:embed kwok.yaml
var kwokStages []byte

// runOnce starts everything anew, places the pods, and ends it.
func runOnce(ctx context.Context, o *options, with bool, name string, stderr io.Writer) (_ *result, err error) {
	dir := filepath.Join(o.dir, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	server, err := schedulertest.Start(dir, o.deploy, map[string]string{
		// There is no controller that takes away the taint that nodes are born with.
		"disable-admission-plugins": "ServiceAccount,TaintNodesByCondition",
		// Clients are to wait for the scheduler only.
		"enable-priority-and-fairness": "false", "max-requests-inflight": "0", "max-mutating-requests-inflight": "0",
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	// Watches end before the server does: it would wait for them.
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	w := &world{options: o, server: server}
	stop, err := w.prepareCluster(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	bound, err := w.watchBindings(ctx)
	if err != nil {
		return nil, err
	}
	r := &result{Plugin: with}
	create := func() error {
		began := time.Now()
		defer func() { r.CreateSeconds = time.Since(began).Seconds() }()
		return w.createPods(ctx)
	}
	if o.Backlog {
		if err := create(); err != nil {
			return nil, err
		}
		fmt.Fprintf(stderr, "  %d pods created in %.1f s\n", o.Pods, r.CreateSeconds)
	}
	s, err := w.startScheduler(ctx, with)
	if err != nil {
		return nil, err
	}
	defer s.Kill()
	if !o.Backlog {
		if err := create(); err != nil {
			return nil, err
		}
	}
	b, err := bound()
	if err != nil {
		return nil, fmt.Errorf("%w; the scheduler's log is %s", err, s.Log)
	}
	r.Seconds = b.last.Sub(b.first).Seconds()
	r.PodsPerSecond = float64(b.pods-1) / r.Seconds
	r.OnHolders = float64(b.onHolders) / float64(b.pods)
	text, err := s.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	return r, r.readMetrics(text)
}

// prepareCluster starts kwok, and creates the nodes and the DataSets.
func (w *world) prepareCluster(ctx context.Context, dir string) (stop func(), err error) {
	if err := w.server.InstallCRDs(); err != nil {
		return nil, err
	}
	kubeconfig, err := w.server.Kubeconfig(false)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "kwok.log"))
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	defer log.Close()
	stages := filepath.Join(dir, "kwok.yaml")
	if err := os.WriteFile(stages, kwokStages, 0o600); err != nil {
		return nil, fmt.Errorf("writing kwok's stages: %w", err)
	}
	kwok := exec.Command(w.kwok, "--kubeconfig="+kubeconfig, "--config="+stages, "--manage-all-nodes", "--node-lease-duration-seconds=40")
	kwok.Stdout, kwok.Stderr = log, log
	kwok.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := kwok.Start(); err != nil {
		return nil, fmt.Errorf("starting kwok: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(fmt.Errorf("kwok ended (%w)", kwok.Wait()))
	}()
	stop = func() {
		_ = kwok.Process.Kill() // It may have ended by itself.
		<-ended
	}
	for _, step := range []func(context.Context) error{w.createNodes, w.awaitNodes, w.dataSets} {
		if err := step(ctx); err != nil {
			stop()
			return nil, fmt.Errorf("preparing the cluster: %w (%v); kwok's log is %s", err, context.Cause(ctx), log.Name())
		}
	}
	return stop, nil
}

// awaitNodes waits until kwok has made all nodes ready.
func (w *world) awaitNodes(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		var list corev1.NodeList
		if err := w.server.Client.List(ctx, &list); err != nil {
			return false, fmt.Errorf("listing nodes: %w", err)
		}
		ready := 0
		for i := range list.Items {
			for _, c := range list.Items[i].Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == w.Nodes, nil
	})
}

// startScheduler starts the scheduler with the installed configuration, or without the
// plugin in it.
func (w *world) startScheduler(ctx context.Context, with bool) (*schedulertest.Scheduler, error) {
	c, err := w.server.Installed()
	if err != nil {
		return nil, err
	}
	profile, err := c.Profile()
	if err != nil {
		return nil, err
	}
	if !with {
		delete(profile, "plugins")
		delete(profile, "pluginConfig")
	}
	if w.Percentage > 0 {
		profile["percentageOfNodesToScore"] = w.Percentage
	}
	c.Block("leaderElection")["leaderElect"] = false
	connection := c.Block("clientConnection")
	connection["qps"], connection["burst"] = 5000, 5000
	kubeconfig, err := w.server.Kubeconfig(false)
	if err != nil {
		return nil, err
	}
	return w.server.StartScheduler(ctx, schedulertest.Options{Binary: w.scheduler, Name: "scheduler", Configuration: c, Kubeconfig: kubeconfig,
		Args: []string{"-v=1"}})
}
