// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/pki"
)

// slowWatch has what watches of DataSets bring come late, as on a busy machine, once a test
// says so: what there is already comes before.
type slowWatch struct {
	next http.RoundTripper
	late time.Duration
	slow *atomic.Bool
}

func (s slowWatch) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(r)
	if err == nil && strings.HasSuffix(r.URL.Path, "/datasets") && r.URL.Query().Get("watch") != "" {
		response.Body = &slowBody{ReadCloser: response.Body, late: s.late, slow: s.slow, done: r.Context().Done()}
	}
	return response, err
}

type slowBody struct {
	io.ReadCloser
	late time.Duration
	slow *atomic.Bool
	done <-chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.slow.Load() {
		return n, err
	}
	timer := time.NewTimer(b.late)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.done:
	}
	return n, err
}

// TestPodsFollowTheirDataSetsWhereTheCacheIsTrusted: the webhook no longer asks the API server
// for each pod, its cache hears of each DataSet a second late, and nothing is waited for
// between the DataSets and the pod.
func TestPodsFollowTheirDataSetsWhereTheCacheIsTrusted(t *testing.T) {
	api := configAs("kuda-webhook")
	var slow atomic.Bool
	api.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return slowWatch{next: next, late: time.Second, slow: &slow}
	})
	w := startWebhookAs(t, api, pki.DefaultPolicy())
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(4 * admission.SettleTime)
	for !w.server.news.IsComplete() {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatal("the replica does not come to trust its cache")
		}
	}
	slow.Store(true)
	for range 10 {
		ns := namespace(t, nil)
		for _, d := range []*v1alpha1.DataSet{dataSet(ns), second(ns)} {
			if err := admin.Create(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		pod := replica(ns)
		if err := admin.Create(t.Context(), pod); err != nil || pod.Annotations[v1alpha1.AnnotationInjected] != "index,model" {
			t.Errorf("got %v, %v", err, pod.Annotations)
		}
	}
}
