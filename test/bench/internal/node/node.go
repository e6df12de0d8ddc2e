// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/test/bench/internal/process"
	"github.com/kuda-io/kuda/test/bench/internal/server"
)

// secret is the name of the Secret with the S3 server's keys, dataSet that of
// the one DataSet.
const (
	secret  = "keys"
	dataSet = "bench"
	// pollEvery bounds how late a finish is noticed.
	pollEvery = 2 * time.Millisecond
)

// Node is a node's store with its runtimes.
type Node struct {
	Gateway *Gateway
	Pods    []*process.Process

	// Keeper tells runtimes that start from now on that the store has a keeper; then they
	// compare every byte that another pod brought.
	Keeper bool

	binary, dir string
}

// New makes a node in an empty directory.
func New(binary, dir string) (*Node, error) {
	gateway, err := NewGateway()
	if err != nil {
		return nil, err
	}
	n := &Node{Gateway: gateway, binary: binary, dir: dir}
	files := map[string]string{"token": "bench", "secrets/" + secret + "/accessKey": server.AccessKey,
		"secrets/" + secret + "/secretKey": server.SecretKey}
	for name, content := range files {
		path := filepath.Join(dir, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing a node: %w", err), gateway.Close())
	}
	return n, nil
}

// Start starts pods and waits until each listens to the gateway.
func (n *Node) Start(ctx context.Context, pods int) error {
	for range pods {
		i := len(n.Pods)
		addr, err := process.FreeAddr()
		if err != nil {
			return err
		}
		_, port, _ := strings.Cut(addr, ":")
		cmd := exec.Command(n.binary, "--pod-uid", uid(i), "--pod-name", uid(i), "--datasets", dataSet, "--wait-for", dataSet,
			"--gateway", n.Gateway.Addr, "--gateway-ca", string(n.Gateway.CA), "--token", filepath.Join(n.dir, "token"),
			"--secrets-dir", filepath.Join(n.dir, "secrets"), "--store", filepath.Join(n.dir, "store"), "--port", port)
		if n.Keeper {
			cmd.Args = append(cmd.Args, "--store-reporter", sidecar.ReporterKeeper)
		}
		p, err := process.Start(filepath.Join(n.dir, "logs"), uid(i), cmd)
		if err != nil {
			return err
		}
		n.Pods = append(n.Pods, p)
	}
	return n.Pods[len(n.Pods)-1].Await(ctx, func() error {
		if got := n.Gateway.Streams(); got < len(n.Pods) {
			return fmt.Errorf("%d of %d runtimes are connected", got, len(n.Pods))
		}
		return nil
	})
}

func uid(pod int) string { return "pod-" + strconv.Itoa(pod) }

// Assignment is one item from an S3 server.
func Assignment(url, key, version string) *gatewayv1alpha1.Assignment {
	return &gatewayv1alpha1.Assignment{
		Data: dataSet + "-pod", Dataset: dataSet, Revision: version,
		Sources: []*gatewayv1alpha1.Source{{Name: "s3", Config: &gatewayv1alpha1.Source_S3{S3: &gatewayv1alpha1.S3Source{
			Endpoint: url, Bucket: server.Bucket, Region: server.Region, PathStyle: true, Secret: secret}}}},
		Items: []*gatewayv1alpha1.Item{{Namespace: "default", Name: "item", Version: version, RemotePath: key, LocalPath: version, Source: "s3"}},
	}
}

// View is what a pod's application sees of a version.
func (n *Node) View(pod int, version string) string {
	return filepath.Join(n.dir, "store", "pods", uid(pod), "view", version)
}

// Join starts one more runtime, and returns how long it took until its pod had what the
// gateway says.
func (n *Node) Join(ctx context.Context, version string) (time.Duration, error) {
	started := time.Now()
	pod := len(n.Pods)
	if err := n.Start(ctx, 1); err != nil {
		return 0, err
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(n.View(pod, version)); err == nil {
			return time.Since(started), nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for one more pod: %w: %s", context.Cause(ctx), n.Pods[pod].Tail())
		}
	}
}

// Deliver has every pod get a version, and returns when the first and the last
// application could see it, counted from the moment the gateway said so.
func (n *Node) Deliver(ctx context.Context, url, key, version string) (first, last time.Duration, err error) {
	started := time.Now()
	n.Gateway.Want(Assignment(url, key, version))
	missing := make(map[int]bool, len(n.Pods))
	for i := range n.Pods {
		missing[i] = true
	}
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		for i := range missing {
			if _, err := os.Stat(n.View(i, version)); err == nil {
				delete(missing, i)
				last = time.Since(started)
				if first == 0 {
					first = last
				}
			}
		}
		if len(missing) == 0 {
			return first, last, nil
		}
		if failed := n.Gateway.Failed(); failed != "" {
			return 0, 0, fmt.Errorf("delivering to %d pods: %s", len(n.Pods), failed)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("delivering to %d pods, %d still wait: %w: %s", len(n.Pods), len(missing), context.Cause(ctx), n.Pods[0].Tail())
		}
	}
}

// Stop ends all pods and the gateway.
func (n *Node) Stop() error {
	for _, p := range n.Pods {
		p.Stop()
	}
	return n.Gateway.Close()
}
