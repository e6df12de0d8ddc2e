// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const gatewayName = "gateway.test"

// Manager is a manager that runs.
type Manager struct {
	*manager.Manager
	Registry *prometheus.Registry

	bundle []byte
	stop   func()
	// address leads to the gateway; empty: its own.
	address string
}

// Through is the manager as those see it who reach its gateway by another address.
func (m *Manager) Through(address string) *Manager {
	other := *m
	other.address = address
	return &other
}

// StartManager runs a manager until Stop, or until the test ends. It has the
// rights that the installation's manifests give it. Of several, the first one
// started leads.
func (c *Cluster) StartManager(t *testing.T, change ...func(*manager.Options)) *Manager {
	t.Helper()
	log.SetLogger(logr.Discard())
	authority := newAuthority(t)
	registry := prometheus.NewRegistry()
	o := manager.Options{
		GatewayAddress: "127.0.0.1:0", HealthAddress: "0", MetricsAddress: "0", PprofAddress: "0",
		Concurrency: 4, ExecHooks: true, HookOutput: true, Preheat: true, DataSetMetrics: true,
		LeaderElection: true, LeaderNamespace: systemNamespace,
		Certificates: &certificates{authority: authority, leaf: authority.Leaf(gatewayName)},
		Registry:     registry,
		Log:          testLogger(t),
	}
	for _, f := range change {
		f(&o)
	}
	mgr, err := manager.New(asManager(c.Config), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	m := &Manager{Manager: mgr, Registry: registry, bundle: authority.Bundle()}
	m.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the manager ended with: %v", err)
		}
	}
	t.Cleanup(m.stop)
	Eventually(t, "the gateway listens", func(context.Context) (bool, error) { return mgr.GatewayAddress() != "", nil })
	return m
}

// Bundle is what its runtimes are to trust (PEM).
func (m *Manager) Bundle() []byte { return m.bundle }

// Stop stops the manager and waits until it has ended.
func (m *Manager) Stop() { m.stop() }

// testLogger is silent unless KUDA_TEST_LOG is set: a manager says much.
func testLogger(t *testing.T) logr.Logger {
	if os.Getenv("KUDA_TEST_LOG") == "" {
		return logr.Discard()
	}
	return testr.NewWithOptions(t, testr.Options{Verbosity: 1})
}

// Token asks for a token as the kubelet does for a projected volume. Pod nil:
// one that is bound to nothing.
func (c *Cluster) Token(t *testing.T, namespace string, p *corev1.Pod, audience string) string {
	t.Helper()
	lifetime := int64((10 * time.Minute).Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience},
		ExpirationSeconds: &lifetime}}
	if p != nil {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace}}
	if p != nil && p.Spec.ServiceAccountName != "" {
		account.Name = p.Spec.ServiceAccountName
	}
	if err := c.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatalf("asking for a token: %v", err)
	}
	return request.Status.Token
}

// Gateway is a client that shows the token.
func (m *Manager) Gateway(t *testing.T, token string) gatewayv1alpha1connect.GatewayServiceClient {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(m.bundle) {
		t.Fatal("the bundle holds no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: gatewayName},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	bearer := bearer{token: token, next: transport}
	return gatewayv1alpha1connect.NewGatewayServiceClient(&http.Client{Transport: bearer},
		"https://"+cmp.Or(m.address, m.GatewayAddress()), connect.WithGRPC())
}

// GatewayFor is a client with the token of a pod's runtime.
func (m *Manager) GatewayFor(t *testing.T, c *Cluster, p *corev1.Pod) gatewayv1alpha1connect.GatewayServiceClient {
	t.Helper()
	return m.Gateway(t, c.Token(t, p.Namespace, p, sidecar.TokenAudience))
}

type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

func newAuthority(t *testing.T) *pki.Authority {
	t.Helper()
	generation, err := pki.NewGeneration(pki.DefaultPolicy(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := generation.SecretData()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range data {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority, err := pki.LoadAuthority(pki.Options{Dir: dir, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

type certificates struct {
	authority *pki.Authority
	leaf      *pki.Leaf
}

func (c *certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.leaf.GetCertificate(hello)
}
func (c *certificates) Bundle() []byte           { return c.authority.Bundle() }
func (c *certificates) Changed() <-chan struct{} { return nil }
