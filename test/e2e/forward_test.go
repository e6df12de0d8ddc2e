// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podsOf lists the pods of one of Kuda's components.
func podsOf(t *testing.T, component string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	err := kube.List(t.Context(), &list, client.InNamespace(systemNamespace), client.MatchingLabels{"app.kubernetes.io/name": component})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("finding the pods of %s: %v", component, err)
	}
	return list.Items
}

// forwards are the addresses that forward has opened for running tests.
var forwards sync.Map

// forward returns an address of this machine that leads to a port of a pod until
// the test ends. NetworkPolicies do not let the machine itself in; what kubectl
// forwards comes from inside the pod.
func forward(t *testing.T, p corev1.Pod, port string) string {
	t.Helper()
	key := t.Name() + " " + string(p.UID) + " " + port
	if address, ok := forwards.Load(key); ok {
		return address.(string)
	}
	cmd := exec.Command("kubectl", "-n", p.Namespace, "port-forward", "pod/"+p.Name, ":"+port)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("forwarding port %s of pod %s: %v", port, p.Name, err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	// kubectl ends when a connection through it is lost; the next call starts another.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
		forwards.Delete(key)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	_, rest, found := strings.Cut(line, "Forwarding from ")
	address, _, _ := strings.Cut(rest, " ")
	if err != nil || !found {
		t.Fatalf("forwarding port %s of pod %s: %q, %v", port, p.Name, line, err)
	}
	forwards.Store(key, address)
	select {
	case <-ended:
		forwards.Delete(key)
	default:
	}
	return address
}
