// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/gen/csi/v1/csiv1connect"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// envMounts is set where the test's process has mounts of its own.
	envMounts = "KUDA_DRIVER_TEST_MOUNTS"
	// envServe makes the test's program the driver of a directory.
	envServe = "KUDA_DRIVER_TEST_SERVE"
)

// TestMain runs the tests where what they mount is seen by no other process.
func TestMain(m *testing.M) {
	unix.Umask(0o022)
	switch {
	case os.Getenv(envServe) != "":
		os.Exit(serveUntilSignal(os.Getenv(envServe)))
	case os.Getenv(envMounts) != "":
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), envMounts+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveUntilSignal(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	d, err := New(optionsBelow(dir))
	if err == nil {
		err = d.Serve(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func optionsBelow(dir string) Options {
	return Options{SocketDir: filepath.Join(dir, "registry"), KubeletDir: filepath.Join(dir, "kubelet"), Base: filepath.Join(dir, "base"),
		NodeName: "node-1", Await: func(context.Context, string, string) error { return nil }, Log: logr.Discard()}
}

// node is a node with the directories that the driver is given.
type node struct {
	t       *testing.T
	options Options
	driver  *Driver
	csi     csiv1connect.NodeClient
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// newDirectories makes the directories of a node, with a shared mount for pods.
func newDirectories(t *testing.T) Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "node") // t.TempDir may be longer than a socket's path
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := optionsBelow(dir)
	pods := podsDir(o.KubeletDir)
	must(t, os.MkdirAll(pods, 0o750), os.Mkdir(o.SocketDir, 0o750), os.Mkdir(o.Base, 0o700),
		unix.Mount(pods, pods, "", unix.MS_BIND, ""), unix.Mount("", pods, "", unix.MS_SHARED, ""))
	t.Cleanup(func() { _ = unix.Unmount(pods, unix.MNT_DETACH) })
	return o
}

// newNode returns a node whose driver serves.
func newNode(t *testing.T) *node {
	t.Helper()
	o := newDirectories(t)
	d, err := New(o)
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client := clientOf(o)
	t.Cleanup(client.CloseIdleConnections) // comes first
	n := &node{t: t, options: o, driver: d, csi: csiv1connect.NewNodeClient(client, "http://localhost", connect.WithGRPC())}
	n.awaitSocket()
	return n
}

// clientOf returns an HTTP client that speaks to the driver as the kubelet does.
func clientOf(o Options) *http.Client {
	transport := &http.Transport{Protocols: &http.Protocols{}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", Socket(o.SocketDir))
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: transport}
}

// awaitSocket returns when there is a socket: then it has a listener.
func (n *node) awaitSocket() {
	n.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("unix", Socket(n.options.SocketDir))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatal(err)
		}
		<-time.After(time.Millisecond)
	}
}

// path is where a volume of a pod is mounted.
func (n *node) path(pod, kind string) string {
	return newRequest(n.options.KubeletDir, pod, kind).GetTargetPath()
}

// publish asks for a volume as the kubelet does, which makes the directory around it.
func (n *node) publish(pod, kind string, changes ...func(r *csiv1.NodePublishVolumeRequest)) error {
	n.t.Helper()
	r := newRequest(n.options.KubeletDir, pod, kind)
	for _, change := range changes {
		change(r)
	}
	must(n.t, os.MkdirAll(filepath.Dir(r.GetTargetPath()), 0o750))
	_, err := n.csi.NodePublishVolume(context.Background(), connect.NewRequest(r))
	return err
}

func (n *node) unpublish(pod, kind string) error {
	r := newRequest(n.options.KubeletDir, pod, kind)
	_, err := n.csi.NodeUnpublishVolume(context.Background(), connect.NewRequest(
		&csiv1.NodeUnpublishVolumeRequest{VolumeId: r.GetVolumeId(), TargetPath: r.GetTargetPath()}))
	return err
}

// store is the directory of the store on the disk.
func (n *node) store() string {
	return filepath.Join(n.options.Base, sidecar.NodeStoresDir, "shop", namespaceUID)
}

// mounts returns how often something is mounted at a path.
func (n *node) mounts(path string) int {
	n.t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(n.t, err)
	count := 0
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[4] == path {
			count++
		}
	}
	return count
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st
}

func flagsOf(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	must(t, unix.Statfs(path, &st))
	return st.Flags & (unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV)
}

func podNumber(i int) string { return fmt.Sprintf("33333333-3333-4333-8333-%012d", i) }
