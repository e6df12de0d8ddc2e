// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestFailureEndsInAConditionThatNamesTheCauseAndNothingInTheView(t *testing.T) {
	t.Parallel()
	store.put(t, "failures/x.txt", []byte(delivered))
	store.putLarge(t, "failures/large.bin", 64<<20)
	hostile := hostileServer(t)
	for _, test := range []struct {
		name   string
		reason string
		says   string // what the message must name
		spoil  func(t *testing.T, ns string, ds *v1alpha1.DataSet, p *corev1.Pod)
	}{
		{"wrong-digest", v1alpha1.ReasonDigestMismatch, strings.Repeat("0", 64),
			func(_ *testing.T, _ string, ds *v1alpha1.DataSet, _ *corev1.Pod) {
				ds.Spec.Template.DataItems[0].Digest = "sha256:" + strings.Repeat("0", 64)
			}},
		{"missing-object", v1alpha1.ReasonNotFound, "failures/nowhere", func(_ *testing.T, _ string, ds *v1alpha1.DataSet, _ *corev1.Pod) {
			ds.Spec.Template.DataItems[0].RemotePath = "failures/nowhere"
		}},
		{"wrong-credentials", v1alpha1.ReasonAccessDenied, "", func(t *testing.T, ns string, _ *v1alpha1.DataSet, _ *corev1.Pod) {
			s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: credentials}}
			if err := kube.Delete(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			s = &corev1.Secret{ObjectMeta: s.ObjectMeta, StringData: map[string]string{"accessKey": storageUser, "secretKey": "not-the-key"}}
			s.ResourceVersion = ""
			create(t, s)
		}},
		{"missing-credentials", v1alpha1.ReasonCredentialsMissing, "no-such-secret",
			func(_ *testing.T, _ string, ds *v1alpha1.DataSet, _ *corev1.Pod) {
				ds.Spec.Template.DataSources.MinIO.SecretRef.Name = "no-such-secret"
			}},
		{"full-disk", v1alpha1.ReasonInsufficientSpace, "", func(t *testing.T, ns string, ds *v1alpha1.DataSet, p *corev1.Pod) {
			ds.Spec.Template.DataItems[0].RemotePath = "failures/large.bin"
			p.Spec.NodeName = "node3"
			at, options := namespaceDirectory(ns), "size=16m,mode=0700"
			if byDriver {
				options += ",uid=65532,gid=65532"
			}
			makeNamespaceDirectory(t, "node3", ns)
			clusterCommand(t, "node", "exec", "node3", "--", "mount", "-t", "tmpfs", "-o", options, "tmpfs", at)
			t.Cleanup(func() { clusterCommand(t, "node", "exec", "node3", "--", "umount", "-l", at) })
		}},
		{"hostile-name", v1alpha1.ReasonInvalidPath, "../../etc/passwd", func(_ *testing.T, _ string, ds *v1alpha1.DataSet, _ *corev1.Pod) {
			ds.Spec.Template.DataItems[0].DataSourceType = v1alpha1.DataSourceHTTP
			ds.Spec.Template.DataItems[0].RemotePath = "tree/"
			ds.Spec.Template.DataSources = v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: hostile}}
		}},
		{"unreachable", v1alpha1.ReasonSourceUnreachable, bridgeAddress, func(_ *testing.T, _ string, ds *v1alpha1.DataSet, _ *corev1.Pod) {
			ds.Spec.Template.DataSources.MinIO.Endpoint = "http://" + bridgeAddress + ":1"
		}},
		{"no-alluxio", v1alpha1.ReasonSourceUnreachable, bridgeAddress, func(_ *testing.T, _ string, ds *v1alpha1.DataSet, _ *corev1.Pod) {
			ds.Spec.Template.DataItems[0].DataSourceType = v1alpha1.DataSourceAlluxio
			ds.Spec.Template.DataSources = v1alpha1.DataSources{Alluxio: &v1alpha1.AlluxioDataSource{Host: bridgeAddress, Port: 1}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ns := newNamespace(t, nil)
			ds := dataSet(ns, "broken", item("x", "failures/x.txt", "v1"))
			// The application starts at once, so that a look into its view is a look of its own.
			ds.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
			p := pod(ns, "broken", "broken", "wait")
			test.spoil(t, ns, ds, p)
			create(t, ds)
			create(t, p)
			status := waitItem(t, ns, test.reason, time.Minute)
			t.Logf("%s: %s", status.Reason, status.Message)
			if status.Phase != v1alpha1.DataFailed || !strings.Contains(status.Message, test.says) {
				t.Errorf("phase %s, message %q; want failed and %q named", status.Phase, status.Message, test.says)
			}
			waitRunning(t, ns, "broken", 1)
			live := pods(t, ns, "broken")[0]
			for line := range strings.Lines(inPod(t, live, "list", "/kuda/data")) {
				if strings.HasPrefix(line, "- ") {
					t.Errorf("a file appeared in the view: %s", line)
				}
			}
		})
	}
}

// hostileServer serves a tree whose index names a file outside of it.
func hostileServer(t *testing.T) string {
	t.Helper()
	body := []byte("root:x:0:0::/:/bin/sh\n")
	sum := sha256.Sum256(body)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "SHA256SUMS") {
			fmt.Fprintf(w, "%s  ../../etc/passwd\n", hex.EncodeToString(sum[:]))
			return
		}
		_, _ = w.Write(body)
	})
	listener, err := net.Listen("tcp", bridgeAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

func TestBrokenSourceIsDeliveredOnceItIsMended(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	ds := dataSet(ns, "mended", item("x", "failures/mended.txt", "v1"))
	ds.Spec.Template.DataSources.MinIO.Bucket = "not-there"
	create(t, ds)
	create(t, pod(ns, "mended", "mended", "wait"))
	waitItem(t, ns, v1alpha1.ReasonNotFound, time.Minute)
	store.put(t, "failures/mended.txt", []byte(delivered))
	update(t, ds, func() { ds.Spec.Template.DataSources.MinIO.Bucket = bucket })
	waitDelivered(t, ds, 1, time.Minute)
}
