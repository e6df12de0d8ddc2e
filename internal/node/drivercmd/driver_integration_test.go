// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package drivercmd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/gen/csi/v1/csiv1connect"
	"github.com/kuda-io/kuda/internal/node/driver"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const namespaceUID = "99999999-9999-4999-8999-999999999999"

var program string

// TestMain builds the program as it is shipped.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "kuda-node")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		program = filepath.Join(dir, "kuda-node")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "../../../cmd/kuda-node")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// process is a driver with mounts of its own, as in its container.
type process struct {
	t                       *testing.T
	cmd                     *exec.Cmd
	log                     *strings.Builder
	registry, kubelet, base string
}

func startDriver(t *testing.T, prepare func(base string)) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "node") // t.TempDir may be longer than a socket's path
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	p := &process{t: t, log: &strings.Builder{}, registry: filepath.Join(dir, "kubelet/plugins_registry"),
		kubelet: filepath.Join(dir, "kubelet"), base: filepath.Join(dir, "base")}
	must(t, os.MkdirAll(p.registry, 0o750), os.MkdirAll(filepath.Join(p.kubelet, "pods"), 0o750), os.Mkdir(p.base, 0o700))
	prepare(p.base)
	const script = `mount --bind "$1" "$1" && mount --make-shared "$1" && shift && exec "$@"`
	p.cmd = exec.Command("sh", "-c", script, "sh", filepath.Join(p.kubelet, "pods"),
		program, "driver", "--kubelet-dir", p.kubelet, "--base", p.base, "--node-name", "node-1", "-v", "1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	p.cmd.Stderr = p.log
	must(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); checkDriver(t.Context(), p.registry) != nil; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the driver does not come: %s", p.log)
		}
	}
	return p
}

func (p *process) target(pod, kind string) string {
	return filepath.Join(p.kubelet, "pods", pod, "volumes/kubernetes.io~csi/kuda-"+kind, "mount")
}

// publish asks for a volume by a connection of its own, as the kubelet does.
func (p *process) publish(pod, kind string) error {
	must(p.t, os.MkdirAll(filepath.Dir(p.target(pod, kind)), 0o750))
	transport := &http.Transport{Protocols: &http.Protocols{}, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", driver.Socket(p.registry))
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	csi := csiv1connect.NewNodeClient(&http.Client{Transport: transport}, "http://localhost", connect.WithGRPC())
	_, err := csi.NodePublishVolume(context.Background(), connect.NewRequest(&csiv1.NodePublishVolumeRequest{
		VolumeId:         fmt.Sprintf("csi-%x", sha256.Sum256([]byte(pod+"kuda-"+kind))),
		TargetPath:       p.target(pod, kind),
		VolumeCapability: &csiv1.VolumeCapability{AccessType: &csiv1.VolumeCapability_Mount{Mount: &csiv1.VolumeCapability_MountVolume{}}},
		VolumeContext: map[string]string{
			"csi.storage.k8s.io/ephemeral": "true", "csi.storage.k8s.io/pod.namespace": "shop", "csi.storage.k8s.io/pod.uid": pod,
			sidecar.AttributeKind: kind, sidecar.AttributeNamespaceUID: namespaceUID,
		},
	}))
	return err
}

// memory returns a figure of the driver's process in KiB.
func (p *process) memory(name string) int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(p.t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib := 0
			_, err := fmt.Sscan(value, &kib)
			must(p.t, err)
			return kib
		}
	}
	p.t.Fatalf("no %s", name)
	return 0
}

func podNumber(i int) string { return fmt.Sprintf("33333333-3333-4333-8333-%012d", i) }

func TestDriverIsSmall(t *testing.T) {
	const pods, limit = 200, 20 << 10
	p := startDriver(t, func(string) {})
	idle := p.memory("VmRSS")
	var all sync.WaitGroup
	errs := make([]error, pods)
	for i := range pods {
		all.Go(func() { errs[i] = errors.Join(p.publish(podNumber(i), "store"), p.publish(podNumber(i), "view")) })
	}
	all.Wait()
	must(t, errs...)
	info, err := os.Stat(program)
	must(t, err)
	t.Logf("%d threads", p.memory("Threads"))
	t.Logf("the program has %.1f MB; resident are %d KiB, with the volumes of %d pods %d KiB, at most %d KiB",
		float64(info.Size())/1e6, idle, pods, p.memory("VmRSS"), p.memory("VmHWM"))
	if kib := p.memory("VmHWM"); kib > limit {
		t.Errorf("resident were %d KiB, more than %d", kib, limit)
	}
}

func TestADriverThatIsToldToEndUnregistersItself(t *testing.T) {
	p := startDriver(t, func(string) {})
	check := exec.Command(program, "driver", "--check", "--kubelet-dir", p.kubelet)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("the check: %v: %s", err, out)
	}
	must(t, p.cmd.Process.Signal(syscall.SIGTERM), p.cmd.Wait())
	if left, err := os.ReadDir(p.registry); err != nil || len(left) != 0 {
		t.Errorf("left is %v, %v", left, err)
	}
	check = exec.Command(program, "driver", "--check", "--kubelet-dir", p.kubelet)
	if out, err := check.CombinedOutput(); err == nil || !strings.Contains(string(out), "asking the driver") {
		t.Errorf("the check without a driver: %v: %s", err, out)
	}
}

func TestADriverThatHangsFailsItsCheck(t *testing.T) {
	p := startDriver(t, func(string) {})
	must(t, p.cmd.Process.Signal(syscall.SIGSTOP))
	for state := ""; !strings.HasPrefix(state, "T"); <-time.After(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		must(t, err)
		_, state, _ = strings.Cut(string(text), ") ")
	}
	if err := checkDriver(t.Context(), p.registry); err == nil {
		t.Error("it passes")
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for flag, args := range map[string][]string{
		"--base": {"--base", "kuda", "--node-name", "n"}, "--node-name": {"--node-name", ""},
		"--kubelet-dir": {"--kubelet-dir", "x", "--node-name", "n"},
		"Bidirectional": {"--kubelet-dir", t.TempDir(), "--base", t.TempDir(), "--node-name", "n"},
	} {
		out, err := exec.Command(program, append([]string{"driver"}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), flag) {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

// TestAPublicationTakesOverTheEarlierStore has snapshots, as far as the takeover looks at them.
func TestAPublicationTakesOverTheEarlierStore(t *testing.T) {
	id := strings.Repeat("a", 40)
	p := startDriver(t, func(base string) {
		data := filepath.Join(base, "shop", namespaceUID, "snapshots", id, "data")
		must(t, os.MkdirAll(data, 0o755), os.WriteFile(filepath.Join(data, "file"), []byte("x"), 0o644),
			os.WriteFile(filepath.Join(data, "../manifest.json"), nil, 0o644))
	})
	must(t, p.publish(podNumber(1), "store"))
	file := filepath.Join(p.base, sidecar.NodeStoresDir, "shop", namespaceUID, "snapshots", id, "data/file")
	info, err := os.Stat(file)
	must(t, err)
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != sidecar.RuntimeUser {
		t.Errorf("the file is of user %d", owner)
	}
	if _, err := os.Stat(filepath.Join(p.base, "shop", namespaceUID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the earlier store stays: %v", err)
	}
}

// TestATakeoverThatFailsIsSaidAndThenTheStoreBeginsEmpty has a directory of stores that the takeover cannot write to.
func TestATakeoverThatFailsIsSaidAndThenTheStoreBeginsEmpty(t *testing.T) {
	p := startDriver(t, func(base string) {
		must(t, os.MkdirAll(filepath.Join(base, "shop", namespaceUID), 0o755),
			os.MkdirAll(filepath.Join(base, sidecar.NodeStoresDir, "shop"), 0o755),
			os.Chown(filepath.Join(base, sidecar.NodeStoresDir, "shop"), sidecar.RuntimeUser, sidecar.RuntimeUser))
		// A file that cannot be removed is in the way of what is being made.
		seed := filepath.Join(base, sidecar.NodeStoresDir, "shop/.seed-"+namespaceUID)
		must(t, os.WriteFile(seed, nil, 0o644))
		if out, err := exec.Command("chattr", "+i", seed).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("chattr", "-i", seed).Run() })
	})
	for range 3 {
		err := p.publish(podNumber(1), "store")
		if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "namespace shop") {
			t.Errorf("got %v", err)
		}
	}
	must(t, p.publish(podNumber(1), "store"))
}
