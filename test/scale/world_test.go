//go:build scale

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kuda-io/kuda/internal/pki"
)

// world is what is measured.
type world struct {
	caDir, namespace string
	ca               []byte
	gateway, hook    string
	manager, webhook *process
	counters         *counters
	// reviewed are the namespaces of the reviewed pods, by how many DataSets they have.
	reviewed map[int]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{caDir: t.TempDir(), namespace: cluster.Namespace(t), counters: newCounters(t),
		gateway: freeAddress(t), hook: freeAddress(t)}
	generation, err := pki.NewGeneration(pki.DefaultPolicy(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := generation.SecretData()
	if err != nil {
		t.Fatal(err)
	}
	w.ca = generation.CertificatePEM()
	for name, content := range data {
		if err := os.WriteFile(filepath.Join(w.caDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// kubeconfig writes a file by which a process finds the API server, with the rights of a
// service account of the installation; empty: of an administrator.
func kubeconfig(t *testing.T, account string) string {
	t.Helper()
	c := cluster.Config
	user := &clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData}
	if account != "" {
		user.Impersonate = "system:serviceaccount:kuda-system:" + account
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:kuda-system", "system:authenticated"}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: c.Host, CertificateAuthorityData: c.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": user},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// process is one of Kuda's binaries.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// runBinary starts a binary with the memory limit of its container.
func runBinary(t *testing.T, limit string, env []string, name string, args ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(filepath.Join(*binaries, name), args...), ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), env...), "GOMEMLIMIT="+limit)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		_ = log.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if !t.Failed() {
			return
		}
		if text, err := os.ReadFile(log.Name()); err == nil {
			t.Logf("%s said at the end:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// end ends the process, in order or at once, and waits until it has ended.
func (p *process) end(t *testing.T, hard bool) {
	t.Helper()
	signal := syscall.SIGTERM
	if hard {
		signal = syscall.SIGKILL
	}
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-p.ended
}

func (w *world) startManager(t *testing.T) *process {
	t.Helper()
	return runBinary(t, "920MiB", []string{"KUBECONFIG=" + kubeconfig(t, "kuda-manager"), "POD_NAME=kuda-manager-0"},
		"kuda-manager", "--gateway-address", w.gateway, "--gateway-names", "localhost", "--ca-dir", w.caDir, "--rotate-ca=false",
		"--remove-gone-stores=false", "--health-address", "0", "--metrics-address", "0", "--keeper=")
}

func (w *world) startWebhook(t *testing.T) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	peers := freeAddress(t)
	return runBinary(t, "230MiB", []string{"KUBECONFIG=" + kubeconfig(t, "")},
		"kuda-webhook", "--listen", w.hook, "--dns-name", "localhost", "--ca-dir", w.caDir, "--config", file,
		"--runtime-image", "runtime", "--health-address", "0", "--metrics-address", "0", "--peers-address", peers, "--peers", peers)
}
