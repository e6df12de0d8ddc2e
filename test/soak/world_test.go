//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/config"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/manager/managertest"
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
	// token is that of a pod that the test plays the runtime of.
	token string
}

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
	injected, played := cluster.Pod(t, w.namespace, "search-0", "search"), cluster.Pod(t, w.namespace, "search-1", "search")
	w.token = cluster.Token(t, w.namespace, played, sidecar.TokenAudience)
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
	w.processes = append(w.processes, run(t, memoryLimit(t, "manager/deployment.yaml"), []string{"KUBECONFIG=" + kubeconfig(t, "kuda-manager")},
		filepath.Join(bin, "kuda-manager"), "--gateway-address", w.gateway, "--gateway-names", "localhost", "--ca-dir", w.caDir, "--rotate-ca=false",
		"--health-address", "0", "--metrics-address", "0"))
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
		sidecar.EnvPodUID + "=" + string(pod.UID), sidecar.EnvPodName + "=" + pod.Name, sidecar.EnvDataSets + "=model", sidecar.EnvWaitFor + "=model",
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
	return []flood{
		{Address: w.gateway, TLS: true, From: loopback, For: length, Paths: []string{
			gatewayv1alpha1connect.GatewayServiceReportProcedure, gatewayv1alpha1connect.GatewayServiceReportStoreProcedure,
			gatewayv1alpha1connect.GatewayServiceWatchProcedure, gatewayv1alpha1connect.GatewayServiceRunHookProcedure,
		}},
		{Address: w.webhook, TLS: true, From: loopback, For: length, Paths: []string{admission.PathPods, admission.PathPodsRequired, admission.PathDataSets}},
		{Address: w.runtime, From: []string{host, "127.0.0.2", "127.0.0.3"}, For: length},
	}
}

// calls are what is done by those who are served.
func (w *world) calls(t *testing.T) []call {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(w.ca) {
		t.Fatal("the authority has no certificate")
	}
	secure := func() *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost"}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	// A kubelet's probe has a connection of its own each time.
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	review := w.review(t)
	api := secure()
	return append(w.gatewayCalls(secure()),
		call{"the API server's review", func(ctx context.Context) error {
			var got admissionv1.AdmissionReview
			if err := fetch(ctx, api, http.MethodPost, "https://"+w.webhook+admission.PathPods, review, &got); err != nil {
				return err
			}
			if got.Response == nil || !got.Response.Allowed || len(got.Response.Patch) == 0 {
				return fmt.Errorf("the pod was not injected: %+v", got.Response)
			}
			return nil
		}},
		call{"the kubelet's probe", func(ctx context.Context) error {
			return fetch(ctx, probe, http.MethodGet, "http://"+w.runtime+sidecar.PathReadyz, nil, nil)
		}},
		call{"the application's question", func(ctx context.Context) error {
			var got struct{ Connected bool }
			if err := fetch(ctx, http.DefaultClient, http.MethodGet, "http://"+w.runtimeLocal+sidecar.PathData, nil, &got); err != nil {
				return err
			}
			if !got.Connected {
				return errors.New("the runtime has lost the gateway")
			}
			return nil
		}},
	)
}

// bearer shows the token of a pod.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// gatewayCalls play a runtime: the stream of what the pod is to have begins
// anew, and what the pod has is reported.
func (w *world) gatewayCalls(c *http.Client) []call {
	c.Transport = bearer{w.token, c.Transport}
	client := gatewayv1alpha1connect.NewGatewayServiceClient(c, "https://"+w.gateway, connect.WithGRPC())
	watch := func(ctx context.Context) (*gatewayv1alpha1.WatchResponse, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := client.Watch(ctx, connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: []string{"model"}}))
		if err != nil {
			return nil, err
		}
		defer func() { _ = stream.Close() }()
		if !stream.Receive() {
			return nil, fmt.Errorf("the stream ended: %w", stream.Err())
		}
		if len(stream.Msg().GetAssignments()) == 0 {
			return nil, errors.New("the pod is to have nothing")
		}
		return stream.Msg(), nil
	}
	var assignment *gatewayv1alpha1.Assignment
	return []call{
		{"the runtime's stream", func(ctx context.Context) error {
			_, err := watch(ctx)
			return err
		}},
		{"the runtime's report", func(ctx context.Context) error {
			if assignment == nil {
				msg, err := watch(ctx)
				if err != nil {
					return err
				}
				assignment = msg.GetAssignments()[0]
			}
			_, err := client.Report(ctx, connect.NewRequest(managertest.Delivery(assignment)))
			return err
		}},
	}
}

// review is what the API server posts for a new pod that the DataSet selects.
func (w *world) review(t *testing.T) []byte {
	t.Helper()
	pod, err := json.Marshal(&corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: "search-", Labels: map[string]string{"app": "search"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "search:1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "soak", Operation: admissionv1.Create, Namespace: w.namespace, Object: apiruntime.RawExtension{Raw: pod},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fetch asks, and reads the answer into result if that is given.
func fetch(ctx context.Context, c *http.Client, method, url string, body []byte, result any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, content)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content, result)
}
