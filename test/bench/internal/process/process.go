// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// startLimit is how long a server may take until it answers.
const startLimit = 60 * time.Second

// stopLimit is how long it may take to end once it was asked to.
const stopLimit = 10 * time.Second

// Process is another program that runs.
type Process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error
}

// Start runs a program whose output goes to dir/name.log, and that dies with
// this process.
func Start(dir, name string, cmd *exec.Cmd) (*Process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel sends the death signal when the starting thread ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// Stop ends it, gently at first.
func (p *Process) Stop() {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // and what it left behind
	<-p.ended
}

// PID is its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Await returns once ask does, or with an error that has the end of the log.
func (p *Process) Await(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return fmt.Errorf("%s ended (%v): %s", p.cmd.Path, p.err, p.Tail())
		case <-ctx.Done():
			p.Stop()
			return fmt.Errorf("%s does not answer (%w): %s", p.cmd.Path, err, p.Tail())
		}
	}
}

// Tail is the end of its log.
func (p *Process) Tail() string {
	text, _ := os.ReadFile(p.log) // what matters is the error that it explains
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}

// Answers wants any answer over HTTP but an error of the server.
func Answers(url string) func() error {
	return func() error {
		r, err := http.Get(url) // the address is our own
		if err != nil {
			return err
		}
		r.Body.Close()
		if r.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("%s answers %s", url, r.Status)
		}
		return nil
	}
}

// Accepts wants a connection.
func Accepts(addr string) func() error {
	return func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// Ports for servers: below those that the kernel gives to connections, one of
// which may else have the port before the server does. They are tried in turn
// from a random one on, so that no two servers get the same.
const firstPort, lastPort = 12_000, 29_999

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(lastPort - firstPort)) }

// FreeAddr returns an address on loopback that is free now.
func FreeAddr() (string, error) {
	for range lastPort - firstPort + 1 {
		port := firstPort + nextPort.Add(1)%(lastPort-firstPort+1)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
		l, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("finding a free port: %w", err)
		}
		return addr, l.Close()
	}
	return "", fmt.Errorf("finding a free port: all of %d to %d are taken", firstPort, lastPort)
}
