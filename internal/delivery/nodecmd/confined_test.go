// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// envConfined makes the test's binary run the command without capabilities.
const envConfined = "KUDA_NODE_TEST_CONFINED"

func TestMain(m *testing.M) {
	if base := os.Getenv(envConfined); base != "" {
		if err := run(base, "remove", "shop", "--uid", gone, "--name-is-gone"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestAClosedDirectoryIsRemovedWithoutCapabilities runs the command as the pod does:
// as the owner, without the capability to override modes, which root has otherwise.
func TestAClosedDirectoryIsRemovedWithoutCapabilities(t *testing.T) {
	base := stores(t, "shop/"+gone+"/snapshots/a/data/f", "shop/"+gone+"/snapshots/b/f", "shop/snapshots/c/f")
	for path, mode := range map[string]os.FileMode{gone + "/snapshots/a/data": 0o555, gone + "/snapshots/b": 0, "snapshots/c": 0o500} {
		if err := os.Chmod(filepath.Join(base, "shop", path), mode); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envConfined+"="+base)
	if os.Geteuid() == 0 {
		// A program that root starts gets no capability that is out of bounds.
		done := make(chan error)
		go func() { done <- startConfined(cmd) }()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	} else if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if left := files(t, base); len(left) != 0 {
		t.Errorf("left is %q", left)
	}
}

// startConfined runs a program from a thread that has given up all capabilities. The
// thread ends with the goroutine, which does not unlock it.
func startConfined(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("giving up capability %d: %w", c, err)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
