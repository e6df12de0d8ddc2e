// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package apiservertest

import (
	"crypto/tls"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func TestStrayClientCannotWriteIntoEtcd(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	env := &envtest.Environment{}
	config, stop, err := Start(env)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	if config.Host == "" {
		t.Error("there is no API server")
	}
	etcd := env.ControlPlane.GetAPIServer().Configure().Get("etcd-servers").Get(nil)
	if len(etcd) != 1 {
		t.Fatalf("the API server has the etcd servers %q", etcd)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	stray := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	write := func(base string) (*http.Response, error) {
		response, err := stray.Post(base+"/v3/kv/put", "application/json", strings.NewReader(`{"key": "YQ==", "value": "YQ=="}`))
		if err == nil {
			response.Body.Close()
		}
		return response, err
	}
	if _, err := write(etcd[0]); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("a client without a certificate: %v, want it refused for that", err)
	}
	for _, base := range []string{strings.Replace(etcd[0], "https", "http", 1), env.ControlPlane.Etcd.URL.String()} {
		if response, err := write(base); err == nil && response.StatusCode/100 == 2 {
			t.Errorf("%s takes writes without TLS", base)
		}
	}
}
