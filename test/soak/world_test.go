//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// world is one of each of Kuda's servers, with what they serve.
type world struct {
	processes []*process
	namespace string
	ca        []byte
	caDir     string
	// Addresses of the servers. The runtime's is not loopback, as a pod's is not.
	gateway, webhook, runtime, runtimeLocal string
	// tokens are those of pods that the test plays the runtimes of.
	tokens []string
}

// played is how many pods the test plays the runtimes of. The gateway has a pace
// for each.
const played = 10

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{namespace: cluster.Namespace(t)}
	w.makeCA(t)
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.ServeContent(rw, r, "weights", time.Unix(1, 0), bytes.NewReader([]byte("the weights")))
	}))
	t.Cleanup(files.Close)
	cluster.DataSet(t, w.namespace, "model", "search", func(d *v1alpha1.DataSet) {
		d.Spec.Template.DataItems[0].DataSourceType = v1alpha1.DataSourceHTTP
		d.Spec.Template.DataSources = v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: files.URL}}
	})
	injected := cluster.Pod(t, w.namespace, "search", "search")
	for i := range played {
		pod := cluster.Pod(t, w.namespace, fmt.Sprint("search-", i), "search")
		w.tokens = append(w.tokens, cluster.Token(t, w.namespace, pod, sidecar.TokenAudience))
	}
	bin := binaries(t)
	w.startManager(t, bin)
	w.startWebhook(t, bin)
	w.startRuntime(t, bin, injected)
	for _, c := range w.calls(t) {
		eventually(t, c.name+" is answered", func() error { return c.do(t.Context()) })
	}
	return w
}

func (w *world) makeCA(t *testing.T) {
	t.Helper()
	generation, err := pki.NewGeneration(pki.DefaultPolicy(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := generation.SecretData()
	if err != nil {
		t.Fatal(err)
	}
	w.ca, w.caDir = generation.CertificatePEM(), t.TempDir()
	for name, content := range data {
		if err := os.WriteFile(filepath.Join(w.caDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// kubeconfig writes a file by which a process finds the API server, as a service
// account of the installation or, without one, as an administrator.
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

// memoryLimit is what a manifest allows its container.
func memoryLimit(t *testing.T, manifest string) int64 {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../deploy/base", manifest))
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
}

// free returns an address on which nothing listens, on the interface of host.
func free(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (w *world) startManager(t *testing.T, bin string) {
	t.Helper()
	w.gateway = free(t, "127.0.0.1")
	w.processes = append(w.processes, run(t, memoryLimit(t, "manager/deployment.yaml"),
		[]string{"KUBECONFIG=" + kubeconfig(t, "kuda-manager")},
		filepath.Join(bin, "kuda-manager"), "--gateway-address", w.gateway, "--gateway-names", "localhost", "--ca-dir", w.caDir,
		"--rotate-ca=false",
		"--remove-gone-stores=false", "--health-address", "0", "--metrics-address", "0"))
}

func (w *world) startWebhook(t *testing.T, bin string) {
	t.Helper()
	w.webhook = free(t, "127.0.0.1")
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.processes = append(w.processes, run(t, memoryLimit(t, "webhook/deployment.yaml"), []string{"KUBECONFIG=" + kubeconfig(t, "")},
		filepath.Join(bin, "kuda-webhook"), "--listen", w.webhook, "--dns-name", "localhost", "--ca-dir", w.caDir, "--config", file,
		"--runtime-image", "runtime", "--health-address", "0", "--metrics-address", "0"))
}

func (w *world) startRuntime(t *testing.T, bin string, pod *corev1.Pod) {
	t.Helper()
	w.runtime = free(t, machineAddress(t))
	_, port, err := net.SplitHostPort(w.runtime)
	if err != nil {
		t.Fatal(err)
	}
	w.runtimeLocal = net.JoinHostPort("127.0.0.1", port)
	_, gatewayPort, err := net.SplitHostPort(w.gateway)
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(cluster.Token(t, w.namespace, pod, sidecar.TokenAudience)), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.Parse(nil, "runtime")
	if err != nil {
		t.Fatal(err)
	}
	resources := settings.Settings(nil).Resources
	limit := resources.Limits.Memory().Value()
	w.processes = append(w.processes, run(t, limit, []string{
		sidecar.EnvPodUID + "=" + string(pod.UID), sidecar.EnvPodName + "=" + pod.Name, sidecar.EnvDataSets + "=model",
		sidecar.EnvWaitFor + "=model",
		sidecar.EnvGatewayAddress + "=localhost:" + gatewayPort, sidecar.EnvGatewayCA + "=" + string(w.ca), sidecar.EnvServerPort + "=" + port,
	}, filepath.Join(bin, "kuda-runtime"), "--store", filepath.Join(t.TempDir(), "store"), "--token", token, "--store-mode", "pod"))
}

// machineAddress is one that is not loopback. Nothing leaves the machine.
func machineAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Fatal("the soak needs an address of the machine that is not loopback")
	return ""
}

// floods are what the attackers do. They share an address with those who are
// served, which is the worst that can be.
func (w *world) floods(length time.Duration) []flood {
	loopback := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}
	host, _, _ := net.SplitHostPort(w.runtime)
	targets := []flood{
		{Address: w.gateway, TLS: true, From: loopback, For: length, Paths: []string{
			gatewayv1alpha1connect.GatewayServiceReportProcedure, gatewayv1alpha1connect.GatewayServiceReportStoreProcedure,
			gatewayv1alpha1connect.GatewayServiceWatchProcedure, gatewayv1alpha1connect.GatewayServiceRunHookProcedure,
		}},
		{Address: w.webhook, TLS: true, From: loopback, For: length,
			Paths: []string{admission.PathPods, admission.PathPodsRequired, admission.PathDataSets}},
		{Address: w.runtime, From: []string{host, "127.0.0.2", "127.0.0.3"}, For: length},
	}
	var all []flood
	for _, f := range targets {
		f.Connections = connections / attackers
		for range attackers {
			all = append(all, f)
		}
	}
	return all
}
