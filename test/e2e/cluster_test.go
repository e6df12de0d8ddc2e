// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// etcdAddress is where the development cluster keeps its database.
const etcdAddress = "127.0.0.1:12379"

// stray is a client that takes any server for the right one and has nothing to
// show for itself.
func stray(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true}
	if len(certificates) > 0 {
		// Shown whatever authorities the server asks for.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

// write is a write into the database as a stray process would try it: by the
// gateway that etcd has for clients without gRPC.
func write(c *http.Client, scheme string) (*http.Response, error) {
	body := strings.NewReader(`{"key": "c3RyYXk=", "value": "c3RyYXk="}`)
	r, err := c.Post(scheme+"://"+etcdAddress+"/v3/kv/put", "application/json", body)
	if err == nil {
		r.Body.Close()
	}
	return r, err
}

func TestStrayProcessCannotWriteIntoTheDatabase(t *testing.T) {
	if r, err := write(stray(t), "https"); err == nil {
		t.Errorf("etcd let a client without a certificate write: %s", r.Status)
	} else if !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("etcd refuses a client without a certificate for another reason: %v", err)
	}
	if r, err := write(stray(t), "http"); err == nil && r.StatusCode/100 == 2 {
		t.Errorf("etcd let a client write without TLS: %s", r.Status)
	}
	// The API server's own users have certificates too, of another authority.
	config := rest.CopyConfig(restConfig)
	if err := rest.LoadTLSFiles(config); err != nil {
		t.Fatal(err)
	}
	administrator, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := write(stray(t, administrator), "https"); err == nil {
		t.Errorf("etcd let a user of the API server write: %s", r.Status)
	}
}

func TestRequestsWithoutCredentialsSeeHealthOnly(t *testing.T) {
	c := stray(t)
	for path, want := range map[string]int{
		"/readyz": http.StatusOK, "/livez": http.StatusOK,
		"/version": http.StatusUnauthorized, "/api": http.StatusUnauthorized, "/api/v1/namespaces": http.StatusUnauthorized,
		"/openid/v1/jwks": http.StatusUnauthorized, "/readyz/ping": http.StatusUnauthorized,
	} {
		r, err := c.Get(restConfig.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, r.Status, want)
		}
	}
	r, err := c.Post(restConfig.Host+"/api/v1/namespaces", "application/json",
		strings.NewReader(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "stray"}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if text, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("writing without credentials: %s %s", r.Status, text)
	}
}

// TestNodeListensForItsKubeletOnly looks at what a node serves on addresses that
// others reach.
func TestNodeListensForItsKubeletOnly(t *testing.T) {
	out, err := exec.Command(os.Getenv("KUDA_CLUSTER"), "node", "exec", "node1", "--", "ss", "-Hltn").Output()
	if err != nil {
		t.Fatalf("listing a node's sockets: %v", err)
	}
	kubelet := false
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			t.Fatalf("a line of another form: %q", line)
		}
		host, port, err := net.SplitHostPort(fields[3])
		if err != nil {
			t.Fatal(err)
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			continue
		}
		if port != "10250" {
			t.Errorf("the node listens on %s", fields[3])
		}
		kubelet = kubelet || port == "10250"
	}
	if !kubelet {
		t.Errorf("the kubelet does not listen:\n%s", out)
	}
	r, err := stray(t).Get("https://10.200.0.11:10250/pods")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusUnauthorized {
		t.Errorf("the kubelet answers a request without credentials with %s", r.Status)
	}
}
