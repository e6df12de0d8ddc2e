// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
)

func TestCachesAreFoundByTheNamesOfServices(t *testing.T) {
	for host, want := range map[string]string{
		"alluxio":                         "home/alluxio",
		"alluxio.cache":                   "cache/alluxio",
		"alluxio.cache.svc":               "cache/alluxio",
		"alluxio.cache.svc.cluster.local": "cache/alluxio",
		"10.0.0.1":                        "",
		"cache.example.com":               "",
	} {
		sources := &v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "b",
			SecretRef: &v1alpha1.SecretReference{Name: "keys"},
			Cache:     &v1alpha1.SourceCache{Alluxio: &v1alpha1.AlluxioMount{Host: host}, Fallback: v1alpha1.CacheFallbackNever}}}
		got := ""
		for _, c := range cacheServers(sourcekind.Describe(sources, nil), "home") {
			got = c.namespace + "/" + c.name
			if !c.private || !c.only {
				t.Errorf("%s: %+v", host, c)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	proxy := &v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "b",
		Cache: &v1alpha1.SourceCache{HTTPProxy: &v1alpha1.CachingProxy{URL: "http://proxy.cache:4001"}}}}
	if got := cacheServers(sourcekind.Describe(proxy, nil), "home"); len(got) != 1 || got[0].name != "proxy" || got[0].private {
		t.Errorf("a proxy: %+v", got)
	}
}

// failed is a Service that could not be read.
func failed(err error) fact[*corev1.Service] { return fact[*corev1.Service]{err: err} }

func TestCachesAreJudged(t *testing.T) {
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, "alluxio")
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "alluxio", errors.New("no"))
	for name, c := range map[string]struct {
		server cacheServer
		want   []string
		says   string
	}{
		"in order": {
			cacheServer{private: true, ready: fact[int]{value: 2}, fenced: fact[bool]{value: true}}, []string{"ok"}, "2 ready"},
		"without a Service":     {cacheServer{service: failed(gone)}, []string{"warning"}, "from the source"},
		"without one, and only": {cacheServer{only: true, service: failed(gone)}, []string{"problem"}, "items fail"},
		"that may not be read":  {cacheServer{service: failed(refused)}, []string{"unknown"}, "may not read"},
		"without an endpoint":   {cacheServer{}, []string{"warning"}, "no ready endpoint"},
		"open to all":           {cacheServer{private: true, ready: fact[int]{value: 1}}, []string{"warning"}, "whoever reaches"},
		"open, of public data":  {cacheServer{ready: fact[int]{value: 1}}, []string{"ok"}, "1 ready"},
		"open, as far as one may see": {cacheServer{private: true, ready: fact[int]{value: 1}, fenced: fact[bool]{err: refused}}, []string{"ok"},
			"1 ready"},
	} {
		c.server.source, c.server.namespace, c.server.name = "minio", "cache", "alluxio"
		var got []string
		said := ""
		for _, f := range judgeCache(&c.server) {
			got = append(got, string(f.Severity))
			said += f.What
		}
		if diff := cmp.Diff(c.want, got); diff != "" || !strings.Contains(said, c.says) {
			t.Errorf("%s (-want +got):\n%s%s", name, diff, said)
		}
	}
}
