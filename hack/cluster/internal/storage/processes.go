// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/kuda-io/kuda/hack/cluster/internal/process"
)

// stopLimit is how long a process may take to end in order.
const stopLimit = 10 * time.Second

// Processes are those of one server. They die with this process, whatever
// becomes of it.
type Processes struct {
	// Dir gets the log of each process, <name>.log.
	Dir string

	mu      sync.Mutex
	started []*running
	stopped bool
	// ended yields an error when a process ends that was not stopped.
	ended chan error
}

// newProcesses returns none yet.
func newProcesses(dir string) *Processes {
	return &Processes{Dir: dir, ended: make(chan error, 1)}
}

type running struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a process whose output goes to its log. The server ends with it.
func (p *Processes) Start(name string, cmd *exec.Cmd) error { return p.start(name, cmd, p.end) }

// StartMortal starts a process that tests may kill: the server goes on without it.
func (p *Processes) StartMortal(name string, cmd *exec.Cmd) error {
	return p.start(name, cmd, func(error) {})
}

func (p *Processes) start(name string, cmd *exec.Cmd, ended func(error)) error {
	path := filepath.Join(p.Dir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r := &running{cmd: cmd, done: make(chan struct{})}
	result := make(chan error)
	go func() {
		// The kernel sends the death signal when the thread ends that started the
		// process, so that thread stays for as long as the process does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		result <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		close(r.done)
		ended(fmt.Errorf("%s ended (%w); %s", name, cause(err), process.LogTail(path)))
	}()
	if err := <-result; err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	p.mu.Lock()
	p.started = append(p.started, r)
	p.mu.Unlock()
	return nil
}

func cause(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// end tells of the first process that ended by itself.
func (p *Processes) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	select {
	case p.ended <- err:
	default:
	}
}

// Stop ends the processes in the reverse order of their start: they are asked
// to, and killed when they take too long.
func (p *Processes) Stop() {
	p.mu.Lock()
	p.stopped = true
	started := p.started
	p.mu.Unlock()
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		group := -r.cmd.Process.Pid
		_ = syscall.Kill(group, syscall.SIGTERM)
		select {
		case <-r.done:
		case <-time.After(stopLimit):
		}
		_ = syscall.Kill(group, syscall.SIGKILL) // and what it left behind
		<-r.done
	}
}
