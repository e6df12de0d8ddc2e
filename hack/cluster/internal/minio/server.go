// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package minio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cgroup"
	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const (
	name       = "minio"
	readyLimit = 60 * time.Second
	stopLimit  = 10 * time.Second
)

// Access is where the server is and who may use it.
type Access struct{ Address, User, Password string }

// DefaultAddress is where pods and the host both reach the server.
const DefaultAddress = topology.BridgeAddress + ":9000"

// Server is the machine's one MinIO server.
type Server struct {
	State   state.Dir
	Tools   build.Toolset
	Cgroups cgroup.System
}

func (s Server) table() process.Table { return process.NewTable(s.State.Processes()) }

// Start starts the server and returns when it answers. One that runs already
// is left alone. Variables of this process's environment that start with
// MINIO_ are passed on.
func (s Server) Start(ctx context.Context, a Access) error {
	if e, ok := s.table().Get(name); ok && e.Alive() {
		if !contains(e.Argv, a.Address) {
			return fmt.Errorf("MinIO runs already, with other settings (%s): run 'kuda-cluster minio stop' first", strings.Join(e.Argv[1:], " "))
		}
		return s.wait(ctx, a)
	}
	if len(a.User) < 3 || len(a.Password) < 8 {
		return errors.New("MinIO wants a user of at least 3 characters and a password of at least 8")
	}
	l, err := net.Listen("tcp", a.Address)
	if err != nil {
		return fmt.Errorf("MinIO cannot listen on %s: %w; %s is the cluster's own address and there only while a cluster is up", a.Address, err,
			topology.BridgeAddress)
	}
	l.Close()
	if err := os.MkdirAll(s.State.Minio(), 0o755); err != nil {
		return fmt.Errorf("starting MinIO: %w", err)
	}
	dirs, err := s.Cgroups.Create(topology.MinioCgroup)
	if err != nil {
		return fmt.Errorf("starting MinIO: %w", err)
	}
	_, err = s.table().Start(process.Spec{
		Name: name,
		Argv: []string{
			filepath.Join(s.Tools.Bin(), "minio"), "server", "--quiet", "--address", a.Address,
			"--certs-dir", filepath.Join(s.State.Root(), "minio-certs"), s.State.Minio(),
		},
		Env: process.Environment(s.Tools.Bin(), append(passedOn(),
			"MINIO_ROOT_USER="+a.User, "MINIO_ROOT_PASSWORD="+a.Password,
			// It is to talk to its clients only.
			"MINIO_UPDATE=off", "MINIO_BROWSER=off", "MINIO_CALLHOME_ENABLE=off")...),
		Log:   s.State.Log(name),
		Place: process.Place{Cgroups: dirs},
	})
	if err != nil {
		return err
	}
	return s.wait(ctx, a)
}

func passedOn() []string {
	var env []string
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "MINIO_") {
			env = append(env, kv)
		}
	}
	return env
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

// wait waits until the server lists buckets: it accepts connections before it
// can serve.
func (s Server) wait(ctx context.Context, a Access) error {
	client, err := NewClient(a)
	if err != nil {
		return err
	}
	err = poll.Until(ctx, readyLimit, func(ctx context.Context) error {
		if !s.table().Running(name) {
			return poll.Fatal{Err: fmt.Errorf("it ended; %s", process.LogTail(s.State.Log(name)))}
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if err := live(ctx, a.Address); err != nil {
			return err
		}
		_, err := client.s3.ListBuckets(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("starting MinIO: %w", err)
	}
	return nil
}

func live(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/minio/health/ready", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("MinIO says %s", response.Status)
	}
	return nil
}

// Stop lets the server end in order; Kill does not. Its data stays.
func (s Server) Stop() error {
	if e, ok := s.table().Get(name); ok {
		if err := e.Stop(stopLimit); err != nil {
			return fmt.Errorf("stopping MinIO: %w", err)
		}
	}
	return s.Kill()
}

// Kill ends the server at once, as a crash would.
func (s Server) Kill() error {
	if _, err := s.Cgroups.Kill(topology.MinioCgroup, stopLimit); err != nil {
		return fmt.Errorf("killing MinIO: %w", err)
	}
	return errors.Join(s.table().Forget(name), s.Cgroups.Remove(topology.MinioCgroup, stopLimit))
}

// Status says how the server is, for people.
func (s Server) Status(ctx context.Context, a Access) (string, error) {
	e, ok := s.table().Get(name)
	if !ok || !e.Alive() {
		return "", errors.New("MinIO does not run")
	}
	if err := live(ctx, a.Address); err != nil {
		return "", fmt.Errorf("MinIO runs as process %d but does not answer: %w", e.PID, err)
	}
	return fmt.Sprintf("MinIO runs as process %d at http://%s, log %s", e.PID, a.Address, e.Log), nil
}
