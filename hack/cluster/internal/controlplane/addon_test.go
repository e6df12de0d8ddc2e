// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/cluster/internal/pki"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

func TestDNSIsWhereKubeletsLookForIt(t *testing.T) {
	for count, replicas := range map[int]string{1: "replicas: 1", 3: "replicas: 2"} {
		got, err := DNSManifests(count)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"clusterIP: " + topology.DNSServiceAddress, "kubernetes " + topology.Domain, replicas} {
			if !strings.Contains(got, want) {
				t.Errorf("%d nodes: no %q in the manifests", count, want)
			}
		}
	}
}

func TestEveryPartHasArguments(t *testing.T) {
	for _, name := range Parts {
		if len((ControlPlane{}).arguments(name)) == 0 {
			t.Errorf("%s would start without arguments", name)
		}
	}
}

func TestNoPartServesClientsWithoutCertificates(t *testing.T) {
	for name, want := range map[string][]string{
		"etcd": {"--client-cert-auth=true", "--peer-client-cert-auth=true", "--trusted-ca-file=/etcd-ca.crt",
			"--peer-trusted-ca-file=/etcd-ca.crt"},
		"kube-apiserver": {"--etcd-cafile=/etcd-ca.crt", "--etcd-certfile=/etcd-client.crt",
			"--authentication-config=/authentication.json"},
	} {
		got := strings.Join((ControlPlane{}).arguments(name), "\n") + "\n"
		for _, argument := range want {
			if !strings.Contains(strings.ReplaceAll(got, "=pki/", "=/"), argument+"\n") {
				t.Errorf("%s starts without %s:\n%s", name, argument, got)
			}
		}
	}
	for _, name := range Parts {
		for _, argument := range (ControlPlane{}).arguments(name) {
			if strings.Contains(argument, "=http://") || strings.Contains(argument, "0.0.0.0") {
				t.Errorf("%s starts with %s", name, argument)
			}
		}
	}
}

func TestRequestsWithoutCredentialsSeeHealthOnly(t *testing.T) {
	var config struct {
		Anonymous struct {
			Enabled    bool
			Conditions []struct{ Path string }
		}
	}
	if err := json.Unmarshal([]byte(authenticationConfig), &config); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, c := range config.Anonymous.Conditions {
		paths = append(paths, c.Path)
	}
	if d := cmp.Diff([]string{"/livez", "/readyz", "/healthz"}, paths); d != "" {
		t.Error(d)
	}
}

func TestKubernetesAuthorityOpensNoDatabase(t *testing.T) {
	authorities := map[string]*pki.Authority{clusterCA: {}, frontProxyCA: {}, etcdCA: {}}
	for _, i := range issues(authorities) {
		if ofEtcd := strings.HasPrefix(i.name, "etcd"); ofEtcd != (i.ca == authorities[etcdCA]) {
			t.Errorf("%s is signed by the wrong authority", i.name)
		}
	}
}
