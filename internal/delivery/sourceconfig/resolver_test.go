// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourceconfig

import (
	"os"
	"path/filepath"
	"testing"
)

func resolving(t *testing.T, hosts, conf string) string {
	t.Helper()
	dir := t.TempDir()
	r := resolver{filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")}
	for file, text := range map[string]string{r.hosts: hosts, r.conf: conf} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if word, err := r.hostWord(""); word != "" || err != nil {
		t.Errorf("without a name: %q, %v", word, err)
	}
	word, err := r.hostWord("minio")
	if err != nil || word == "" {
		t.Fatalf("got %q, %v", word, err)
	}
	return word
}

func TestPodsWithTheSameNameResolutionShareAnOrigin(t *testing.T) {
	const hosts = managedHosts + "\n127.0.0.1\tlocalhost\n10.0.0.%\tpod-%\n"
	const conf = "search shop.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
	usual := resolving(t, hosts, conf)
	for name, same := range map[string]string{
		"another pod": resolving(t, managedHosts+"\n10.0.0.7\tpod-7\n", conf),
		"options":     resolving(t, hosts, conf+"options ndots:2\n"),
		"comments":    resolving(t, hosts, "# of the kubelet\n"+conf),
	} {
		if same != usual {
			t.Errorf("%s makes a way of its own", name)
		}
	}
	for name, other := range map[string]string{
		"an alias":          resolving(t, hosts+"\n"+hostAliases+"\n6.6.6.6\tminio\n", conf),
		"a server":          resolving(t, hosts, "nameserver 6.6.6.6\n"+conf),
		"a domain":          resolving(t, hosts, "search evil.svc.cluster.local\nnameserver 10.96.0.10\n"),
		"the node's names":  resolving(t, "127.0.0.1 localhost\n6.6.6.6 minio\n", conf),
		"the node's, again": resolving(t, "# Kubernetes-managed hosts file (host network).\n6.6.6.6 minio\n", conf),
	} {
		if other == usual {
			t.Errorf("%s is not seen", name)
		}
	}
}
