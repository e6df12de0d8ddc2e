// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// envMain makes the test's binary be the runtime.
const envMain = "KUDA_RUNTIME_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envConfined) != "" {
		confine()
	}
	if socket := os.Getenv(envPlugin); socket != "" {
		servePlugin(socket)
		return
	}
	if os.Getenv(envMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// sidecarProcess is the real binary, as the injector would start it.
type sidecarProcess struct {
	t    testing.TB
	root string
	port int
	env  []string
	args []string
	// store is the directory below root; "" for "store".
	store string
	cmd   *exec.Cmd
	log   bytes.Buffer
}

func newSidecar(t testing.TB, g *agenttest.Gateway) *sidecarProcess {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	s := &sidecarProcess{t: t, root: t.TempDir(), port: port}
	if err := os.WriteFile(s.path("token"), []byte(agenttest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		envMain: "1", sidecar.EnvPodUID: "uid", sidecar.EnvPodName: "pod", sidecar.EnvDataSets: "ds", sidecar.EnvWaitFor: "ds",
		sidecar.EnvGatewayAddress: g.Address, sidecar.EnvGatewayCA: string(g.CA), sidecar.EnvServerPort: strconv.Itoa(port),
	} {
		s.env = append(s.env, name+"="+value)
	}
	t.Cleanup(func() {
		s.kill(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the runtime said:\n%s", s.log.String())
		}
	})
	return s
}

func (s *sidecarProcess) path(p ...string) string {
	return filepath.Join(append([]string{s.root}, p...)...)
}

func (s *sidecarProcess) start() {
	s.t.Helper()
	s.cmd = exec.Command(os.Args[0], append([]string{"--token", s.path("token")}, s.args...)...)
	s.cmd.Env = append(slices.Clone(s.env), sidecar.EnvStoreRoot+"="+s.path(cmp.Or(s.store, "store")))
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sidecarProcess) kill(sig os.Signal) {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *sidecarProcess) read(p string) (string, error) {
	c, err := os.ReadFile(s.path("store/pods/uid/view", p))
	return string(c), err
}

// get asks the local API, as soon as there is one.
func (s *sidecarProcess) get(path string) (int, string) {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", s.port, path))
		if err == nil {
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				s.t.Fatal(err)
			}
			return resp.StatusCode, string(body)
		}
		select {
		case <-again.C:
		case <-deadline:
			s.t.Fatalf("the local API never answered: %v", err)
		}
	}
}

func TestPromise5KillingTheSidecarAtAnyMomentHealsByItself(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	assign := func(n int) *gatewayv1alpha1.Assignment {
		v := fmt.Sprint("/v", n)
		f.Put(v+"a", v)
		f.Put(v+"b", v)
		return f.Assignment("ds", fmt.Sprint("r", n), "conf/a", v+"a", "conf/b", v+"b")
	}
	s := newSidecar(t, g)
	g.Want(assign(0))
	s.start()
	g.Success("ds-pod", "r0")
	for n := 1; n <= 25; n++ {
		// Changes come while the process starts, works and dies.
		stop := time.After(time.Duration(20+rand.IntN(150)) * time.Millisecond)
		g.Want(assign(n))
		<-stop
		s.kill(syscall.SIGKILL)
		a, errA := s.read(".kuda/ds/conf/a")
		b, errB := s.read(".kuda/ds/conf/b")
		if errA != nil || errB != nil || a != b || a == "" {
			t.Fatalf("after kill %d the application reads %q, %v and %q, %v", n, a, errA, b, errB)
		}
		if got, err := s.read("conf/a"); err != nil || got != a {
			t.Fatalf("after kill %d the application reads %q, %v instead of %q", n, got, err, a)
		}
		s.start()
	}
	g.Success("ds-pod", "r25")
	if got, err := s.read("conf/b"); err != nil || got != "/v25" {
		t.Errorf("at the end the application reads %q, %v", got, err)
	}
}

func TestSidecarServesItsEndpointsAndEndsAtOnce(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	release := f.Block("/v1")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	s := newSidecar(t, g)
	s.start()
	if code, body := s.get(sidecar.PathReadyz); code != http.StatusServiceUnavailable || !strings.Contains(body, "ds") {
		t.Errorf("before the data: %d %s", code, body)
	}
	release()
	g.Success("ds-pod", "r1")
	for path, want := range map[string]string{
		sidecar.PathReadyz:  "ok",
		sidecar.PathHealthz: "ok",
		sidecar.PathMetrics: `kuda_runtime_items{dataset="ds",phase="success"} 1`,
		sidecar.PathData:    `"revision":"r1"`,
	} {
		if code, body := s.get(path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	started := time.Now()
	process := s.cmd
	s.kill(syscall.SIGTERM)
	if took := time.Since(started); took > 2*time.Second || !process.ProcessState.Success() {
		t.Errorf("ended after %s: %s", took, process.ProcessState)
	}
}

// The store's command, and other runtimes, know what a pod needs while its
// runtime is down.
func TestSnapshotsOfAPodAreKeptWhileItsRuntimeIsDown(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/v1", "one")
	g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	s := newSidecar(t, g)
	s.start()
	g.Success("ds-pod", "r1")
	s.kill(syscall.SIGKILL)
	run := func(args ...string) string {
		var out bytes.Buffer
		cmd := newCommand()
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"store", "--store", s.path("store")}, args...))
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if out := run("prune", "--all-unused"); !strings.Contains(out, "evicted 0 snapshots") {
		t.Errorf("prune: %s", out)
	}
	if out := run("list", "-o", "json"); !strings.Contains(out, `"uid"`) || !strings.Contains(out, `"inUse": false`) {
		t.Errorf("list: %s", out)
	}
	if out := run("verify"); !strings.Contains(out, "whole") {
		t.Errorf("verify: %s", out)
	}
	if err := os.RemoveAll(s.path("store/pods/uid")); err != nil {
		t.Fatal(err)
	}
	if out := run("prune", "--all-unused"); !strings.Contains(out, "evicted 1 snapshots") {
		t.Errorf("prune without the pod: %s", out)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "KUDA_POD_UID",
		"--pod-uid=../x":                     "KUDA_POD_UID",
		"--pod-uid=x":                        "KUDA_GATEWAY_ADDRESS",
		"--pod-uid=x --gateway=h:1 --port=0": "KUDA_SERVER_PORT",
	} {
		cmd := newCommand()
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s named", args, err, want)
		}
	}
}
