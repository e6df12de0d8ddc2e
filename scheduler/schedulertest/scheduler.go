// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package schedulertest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/internal/freeport"
)

// Options of a scheduler.
type Options struct {
	// Binary is kuda-scheduler.
	Binary string
	// Name is that of its files.
	Name string
	// Configuration; what it says of the connection and the serving is replaced.
	Configuration Configuration
	// Kubeconfig names the API server and the rights.
	Kubeconfig string
	// Args are more of its arguments.
	Args []string
}

// Scheduler is a process that runs.
type Scheduler struct {
	// Log is the file that it logs to.
	Log string

	command *exec.Cmd
	client  *http.Client
	url     string
	ended   chan struct{}
}

// StartScheduler starts one and waits until it is ready.
func (a *APIServer) StartScheduler(ctx context.Context, o Options) (*Scheduler, error) {
	o.Configuration.Block("clientConnection")["kubeconfig"] = o.Kubeconfig
	content, err := yaml.Marshal(o.Configuration)
	if err != nil {
		return nil, fmt.Errorf("writing a configuration: %w", err)
	}
	file := filepath.Join(a.dir, o.Name+".yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return nil, fmt.Errorf("writing a configuration: %w", err)
	}
	port, err := freeport.Pick("127.0.0.1")
	if err != nil {
		return nil, err
	}
	s := &Scheduler{
		Log: filepath.Join(a.dir, o.Name+".log"), url: "https://127.0.0.1:" + strconv.Itoa(port), ended: make(chan struct{}),
		// The certificate is one that the scheduler has just made for itself.
		client: &http.Client{Timeout: 5 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}},
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	defer log.Close()
	s.command = exec.Command(o.Binary, append([]string{
		"--config=" + file, "--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port),
		"--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
	}, o.Args...)...)
	s.command.Stdout, s.command.Stderr = log, log
	// It must not outlive a caller that is killed.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", o.Binary, err)
	}
	go func() {
		defer close(s.ended)
		_ = s.command.Wait() // How it ended is in its log.
	}()
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

func (s *Scheduler) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		if _, err := s.get(ctx, "/readyz"); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("the scheduler ended at its start; see %s", s.Log)
		case <-deadline.C:
			return fmt.Errorf("the scheduler did not become ready; see %s", s.Log)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Metrics are its own, as text.
func (s *Scheduler) Metrics(ctx context.Context) ([]byte, error) { return s.get(ctx, "/metrics") }

func (s *Scheduler) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for %s: %s", path, response.Status)
	}
	return body, nil
}

// PID of the process.
func (s *Scheduler) PID() int { return s.command.Process.Pid }

// Kill ends it without a warning, and returns when it has ended.
func (s *Scheduler) Kill() { s.stopProcess(syscall.SIGKILL) }

// Stop asks it to end, and returns when it has.
func (s *Scheduler) Stop() { s.stopProcess(syscall.SIGTERM) }

func (s *Scheduler) stopProcess(signal syscall.Signal) {
	if err := s.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	<-s.ended
	s.client.CloseIdleConnections()
}
