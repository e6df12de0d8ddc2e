// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// envConfined makes the test's binary give up all capabilities, as the
	// runtime's container has none.
	envConfined = "KUDA_RUNTIME_TEST_CONFINED"
	// envSpy makes it look at the process of that number.
	envSpy = "KUDA_RUNTIME_TEST_SPY"
	// envIdle makes it wait for the end of its input.
	envIdle = "KUDA_RUNTIME_TEST_IDLE"
)

// confine starts the program again without capabilities, which even root then does
// not have, and does what the other variables ask for.
func confine() {
	runtime.LockOSThread()
	if os.Getenv(envConfined) == "1" {
		for c := range uintptr(64) {
			// What is not there, or not ours to drop, is none.
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		}
		if err := os.Setenv(envConfined, "2"); err == nil {
			err = syscall.Exec(os.Args[0], os.Args, os.Environ())
			fmt.Println("starting again:", err)
		}
		os.Exit(1)
	}
	if target := os.Getenv(envSpy); target != "" {
		fmt.Print(spy(target))
		os.Exit(0)
	}
	if os.Getenv(envIdle) != "" {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
}

// spy lists what it can see of a process.
func spy(pid string) string {
	proc := filepath.Join("/proc", pid)
	var seen []string
	for _, name := range []string{"environ", "maps", "mem", "auxv"} {
		f, err := os.Open(filepath.Join(proc, name))
		if err == nil {
			_, err = f.Read(make([]byte, 1))
			_ = f.Close()
		}
		// Nothing is mapped where mem begins.
		if err == nil || errors.Is(err, unix.EIO) {
			seen = append(seen, name)
		}
	}
	// The numbers of descriptors are no secret, what they are of is.
	fds, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, fd := range fds {
		if _, err := os.Readlink(fd); err == nil {
			seen = append(seen, "fd")
			break
		}
	}
	for _, name := range []string{"root/.", "cwd/."} {
		if entries, err := os.ReadDir(filepath.Join(proc, name)); err == nil && len(entries) > 0 {
			seen = append(seen, name)
		}
	}
	if _, err := os.Readlink(filepath.Join(proc, "exe")); err == nil {
		seen = append(seen, "exe")
	}
	var n int
	if _, err := fmt.Sscan(pid, &n); err == nil && unix.PtraceAttach(n) == nil {
		seen = append(seen, "ptrace")
		_, _ = unix.Wait4(n, nil, unix.WALL, nil)
		_ = unix.PtraceDetach(n)
	}
	return strings.Join(seen, " ")
}

func confined(env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, envConfined+"=1")...)
	return cmd
}

func look(t *testing.T, pid int) string {
	t.Helper()
	out, err := confined(fmt.Sprintf("%s=%d", envSpy, pid)).CombinedOutput()
	if err != nil {
		t.Fatalf("looking: %v: %s", err, out)
	}
	return string(out)
}

func TestOtherProcessesOfTheSameUserSeeNothingOfTheRuntime(t *testing.T) {
	idle := confined(envIdle + "=1")
	input, err := idle.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = input.Close(); _ = idle.Wait() })
	// Without the guard, all of it is there to be seen, unless the machine allows
	// tracing to parents only.
	open := []string{"environ", "maps", "root/.", "fd", "exe"}
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err != nil || string(scope) == "0\n" {
		open = append(open, "mem", "ptrace")
	}
	awaitText(t, func() string { return look(t, idle.Process.Pid) }, open...)

	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	s := newSidecar(t, g)
	s.env = append(s.env, envConfined+"=1")
	s.start()
	g.Success("ds-pod", "r1")
	if seen := look(t, s.cmd.Process.Pid); seen != "" {
		t.Fatalf("seen of the runtime: %s", seen)
	}
	// It goes on giving back memory by its own files in /proc.
	if _, body := s.get(sidecar.PathMetrics); !strings.Contains(body, "process_open_fds") {
		t.Errorf("the runtime does not see itself any more: %s", body)
	}
}

// awaitText calls a function until what it returns has all words.
func awaitText(t *testing.T, f func() string, words ...string) {
	t.Helper()
	var text string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		text = f()
		missing := false
		for _, word := range words {
			missing = missing || !strings.Contains(text, word)
		}
		if !missing {
			return
		}
	}
	t.Fatalf("got %q, want %q", text, words)
}

func TestAStoreOfANamespaceIsClosedAndKeepsToItself(t *testing.T) {
	const mine, earlier = namespaceUID, "22222222-2222-4222-8222-222222222222"
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	s := newSidecar(t, g)
	s.store = "mount/" + mine
	// What the namespace before this one left has the same item.
	old := newSidecar(t, g)
	old.root, old.store = s.root, "mount/"+earlier
	old.start()
	g.Success("ds-pod", "r1")
	old.kill(syscall.SIGTERM)
	g.Forget()
	gets := f.Gets("/v1")
	s.start()
	g.Success("ds-pod", "r1")
	if f.Gets("/v1") == gets {
		t.Error("the bytes of the namespace before were delivered")
	}
	for _, dir := range []string{"mount", "mount/" + mine} {
		if info, err := os.Stat(s.path(dir)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	view := s.path("mount", mine, "pods/uid/view")
	err := filepath.WalkDir(view, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o004 == 0 {
			t.Errorf("other users cannot read %s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
