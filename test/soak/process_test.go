//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is one of Kuda's binaries as a container runs it.
type process struct {
	name  string
	cmd   *exec.Cmd
	limit int64
	log   lockedBuffer
	ended chan struct{}
}

// binaries builds what is run, and returns where.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "./cmd/kuda-manager", "./cmd/kuda-webhook", "./cmd/kuda-runtime")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return dir
}

// run starts the binary with a memory limit of so many bytes.
func run(t *testing.T, limit int64, env []string, binary string, args ...string) *process {
	t.Helper()
	p := &process{name: filepath.Base(binary), limit: limit, ended: make(chan struct{})}
	p.cmd = exec.Command(binary, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Env = append(p.cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(limit*9/10, 10))
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s said at the end:\n%s", p.name, p.log.tail(4000))
		}
	})
	return p
}

// check fails the test when the process ended or had more memory than it may.
func (p *process) check(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		t.Errorf("%s ended: %s", p.name, p.cmd.ProcessState)
		return
	default:
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s had %d MiB at most; its limit is %d", p.name, kib>>10, p.limit>>20)
		if kib<<10 > p.limit {
			t.Errorf("%s had more memory than its limit", p.name)
		}
		return
	}
	t.Error("the kernel does not say how much memory the process had")
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	content := l.b.Bytes()
	return string(content[max(0, len(content)-n):])
}

// eventually waits until f succeeds.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	late := time.After(2 * time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}
