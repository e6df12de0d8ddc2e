// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// envNode is set where the test's process has mounts of its own.
	envNode = "KUDA_KEEPER_TEST_NODE"
	// envKeeper makes the test's program the keeper of a directory.
	envKeeper = "KUDA_KEEPER_TEST_KEEPER"
)

// TestMain runs the tests where what they mount is seen by no other process.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(envKeeper) != "":
		os.Exit(keepUntilSignal(os.Getenv(envKeeper)))
	case os.Getenv(envNode) != "":
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), envNode+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// keepUntilSignal is a keeper that looks when the kernel tells of a change only, and prints
// what it reports.
func keepUntilSignal(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	g := &gateway{requests: make(chan *gatewayv1alpha1.WatchNodeRequest, 1000), reports: make(chan *gatewayv1alpha1.ReportNodeRequest, 1000),
		tell: &gatewayv1alpha1.WatchNodeResponse{}}
	g.report = func(r *gatewayv1alpha1.ReportNodeRequest) error { return json.NewEncoder(os.Stdout).Encode(r) }
	k, err := New(Options{Base: filepath.Join(dir, "kuda", sidecar.NodeStoresDir),
		Table: published.Table{File: "/proc/self/mountinfo", Pods: filepath.Join(dir, "pods")}, Gateway: g,
		Pace: Pace{Look: time.Hour, Repeat: time.Hour}})
	if err == nil {
		err = k.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// node is a machine with a keeper that has no privilege.
type node struct {
	t       *testing.T
	dir     string
	reports chan *gatewayv1alpha1.ReportNodeRequest
}

func mustMount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Fatalf("mounting %s: %v", target, err)
	}
}

// newNode makes the directories as the kubelet and the driver do: pods for root only, stores
// for the runtimes' user.
func newNode(t *testing.T) *node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts, and must be run as root")
	}
	dir, err := os.MkdirTemp("", "kuda-keeper-")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, dir: dir, reports: make(chan *gatewayv1alpha1.ReportNodeRequest, 1000)}
	t.Cleanup(func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
		_ = os.Remove(dir)
	})
	mustMount(t, "tmpfs", dir, "tmpfs", 0)
	mustMount(t, "", dir, "", unix.MS_SHARED)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"pods": 0o750, "kuda": 0o755} {
		if err := os.Mkdir(filepath.Join(dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	mustMount(t, filepath.Join(dir, "pods"), filepath.Join(dir, "pods"), "", unix.MS_BIND)
	n.mkdir(filepath.Join(dir, "kuda", sidecar.NodeStoresDir))
	return n
}

// mkdir makes a directory of the runtimes.
func (n *node) mkdir(path string) {
	n.t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Chown(path, sidecar.RuntimeUser, sidecar.RuntimeUser); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) root(p census.Place) string {
	return filepath.Join(n.dir, "kuda", sidecar.NodeStoresDir, p.Namespace, p.UID)
}

// startKeeper runs the keeper as another user, with mounts of its own that follow the node's.
func (n *node) startKeeper() {
	n.t.Helper()
	program := filepath.Join(n.dir, "keeper")
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		n.t.Fatal(err)
	}
	defer self.Close()
	copied, err := os.OpenFile(program, os.O_WRONLY|os.O_CREATE, 0o755)
	if err == nil {
		_, err = io.Copy(copied, self)
	}
	if err != nil {
		n.t.Fatal(err)
	}
	_ = copied.Close()
	cmd := exec.Command(program)
	cmd.Env = []string{envKeeper + "=" + n.dir}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS,
		Credential: &syscall.Credential{Uid: sidecar.RuntimeUser, Gid: sidecar.RuntimeUser}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func() {
		for d := json.NewDecoder(out); ; {
			r := &gatewayv1alpha1.ReportNodeRequest{}
			if d.Decode(r) != nil {
				return
			}
			n.reports <- r
		}
	}()
	n.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			n.t.Errorf("the keeper ended with %v", err)
		}
	})
}

// awaitReport waits for a report that the test is after.
func (n *node) awaitReport(what string, match func(*gatewayv1alpha1.ReportNodeRequest) bool) {
	n.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case r := <-n.reports:
			if match(r) {
				return
			}
		case <-deadline:
			n.t.Fatalf("never reported: %s", what)
		}
	}
}

// publish mounts a store into a pod, as the driver does.
func (n *node) publish(p census.Place, uid string) (target string) {
	n.t.Helper()
	target = filepath.Join(n.dir, "pods", uid, "volumes", "kubernetes.io~csi", sidecar.VolumeStore, "mount")
	if err := os.MkdirAll(target, 0o750); err != nil {
		n.t.Fatal(err)
	}
	mustMount(n.t, n.root(p), target, "", unix.MS_BIND)
	return target
}

// asRuntime does something in a store as the runtimes' user.
func (n *node) asRuntime(root string, do func(b *bench)) {
	n.t.Helper()
	b := &bench{t: n.t, clock: &clock{now: time.Now()}, base: filepath.Join(n.dir, "kuda", sidecar.NodeStoresDir)}
	do(b)
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, sidecar.RuntimeUser, sidecar.RuntimeUser)
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, again := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("never seen: %s", what)
		}
	}
}

func TestAKeeperWithoutPrivilegeSeesWhatIsMountedAndGone(t *testing.T) {
	n := newNode(t)
	p := place("shop", 1)
	n.mkdir(filepath.Dir(n.root(p)))
	n.startKeeper()
	n.mkdir(n.root(p))
	n.asRuntime(n.root(p), func(b *bench) {
		b.addUnused(p, "1", 100, time.Hour)
		b.makePod(b.root(p), uidOf(11))
	})
	target := n.publish(p, uidOf(11))
	n.awaitReport("the store, by a change alone", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		return len(contentsIn(r, p).GetContents().GetSnapshots()) == 1
	})
	path := filepath.Join(n.root(p), podstate.PodsDir, uidOf(11))
	if !exists(path) {
		t.Fatal("the directory of a pod is gone while its volume is mounted")
	}
	if err := unix.Unmount(target, 0); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	await(t, "the directory to go with the volume", func() bool { return !exists(path) })
	t.Logf("it went %s after the volume", time.Since(began))
	if err := os.RemoveAll(n.root(p)); err != nil {
		t.Fatal(err)
	}
	n.awaitReport("that the store is gone", func(r *gatewayv1alpha1.ReportNodeRequest) bool { return len(r.GetDirectories()) == 0 })
}

func TestAStoreThatItsOwnerClosedIsCountedLikeTheOthers(t *testing.T) {
	n := newNode(t)
	closed, half, good := place("closed", 1), place("half", 2), place("good", 3)
	for _, p := range []census.Place{closed, half, good} {
		n.mkdir(filepath.Dir(n.root(p)))
		n.mkdir(n.root(p))
		n.asRuntime(n.root(p), func(b *bench) { b.addUnused(p, "1", 100, time.Hour) })
	}
	for _, path := range []string{n.root(closed), filepath.Join(n.root(half), store.MarksDir)} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
	}
	n.startKeeper()
	n.awaitReport("all three", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		for _, p := range []census.Place{closed, half, good} {
			if len(contentsIn(r, p).GetContents().GetSnapshots()) != 1 {
				return false
			}
		}
		return true
	})
}
