// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"math"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func prefetchReport(revision string, phase gatewayv1alpha1.Phase, bytes uint64) *gatewayv1alpha1.ReportRequest {
	r := newRequest(newItemStatus("a", success))
	r.Prefetch = &gatewayv1alpha1.PrefetchStatus{Revision: revision, Phase: phase, Bytes: bytes, TotalBytes: 10}
	return r
}

func TestOnlyARequestedPrefetchIsReported(t *testing.T) {
	d := newData("a")
	if s := Status(d, prefetchReport("r2", success, 10), "", now); s.Prefetch != nil {
		t.Errorf("nothing is to be prefetched, status: %+v", s.Prefetch)
	}
	d.Spec.PrefetchRevision = "r3"
	if s := Status(d, prefetchReport("r2", success, 10), "", now); s.Prefetch != nil {
		t.Errorf("another revision is to be prefetched, status: %+v", s.Prefetch)
	}
	d.Spec.PrefetchRevision = "r2"
	s := Status(d, prefetchReport("r2", downloading, 4), "", now)
	if p := s.Prefetch; p == nil || p.Revision != "r2" || p.Phase != v1alpha1.DataDownloading || p.Bytes != 4 || p.TotalBytes != 10 {
		t.Errorf("status: %+v", s.Prefetch)
	}
	if s.Success != 1 || s.Conditions[0].Reason != v1alpha1.ReasonDelivered {
		t.Errorf("a prefetch changes what is said of the present revision: %+v", s)
	}
}

func TestAHostilePrefetchIsSanitized(t *testing.T) {
	d, r := newData("a"), prefetchReport("r2", 99, math.MaxUint64)
	d.Spec.PrefetchRevision = "r2"
	r.Prefetch.Reason, r.Prefetch.Message = "rm -rf", "\x1b[31mred\x00"+strings.Repeat("é", 10000)
	p := Status(d, r, "", now).Prefetch
	if p.Phase != v1alpha1.DataWaiting || p.Reason != "" || p.Bytes != 10 || len(p.Message) > 4096 ||
		strings.ContainsAny(p.Message, "\x00\x1b") {
		t.Errorf("status: %+v", p)
	}
}

func TestTheEndOfAPrefetchIsMoreUrgentThanItsBytes(t *testing.T) {
	d := newData("a")
	d.Spec.PrefetchRevision = "r2"
	status := func(phase gatewayv1alpha1.Phase, bytes uint64) *v1alpha1.DataStatus {
		s := Status(d, prefetchReport("r2", phase, bytes), "n", now)
		return &s
	}
	none := status(downloading, 1)
	none.Prefetch = nil
	for name, c := range map[string]struct {
		before, after *v1alpha1.DataStatus
		want          change
	}{
		"same":     {status(downloading, 1), status(downloading, 1), nothing},
		"began":    {none, status(downloading, 1), whole},
		"bytes":    {status(downloading, 1), status(downloading, 2), bytes},
		"success":  {status(downloading, 1), status(success, 10), whole},
		"failed":   {status(downloading, 1), status(failed, 1), whole},
		"no more":  {status(success, 10), none, whole},
		"reverted": {status(success, 10), status(waiting, 0), whole},
	} {
		if got := compareStatus(c.before, c.after); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestAPrefetchIsWrittenWhileTheCacheIsBehind(t *testing.T) {
	d := newData("a")
	d.Spec.PrefetchRevision = "r2"
	b := newBench(t, d, nil)
	defer b.Close()
	behind := true
	b.writer.Cached = interceptor.NewClient(b.client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			if d, ok := o.(*v1alpha1.Data); ok && behind {
				d.Spec.PrefetchRevision = ""
			}
			return err
		},
	})
	b.submitReport(t, Report{Request: prefetchReport("r2", success, 10)})
	var got v1alpha1.Data
	if err := b.client.Get(t.Context(), key, &got); err != nil || got.Status.Prefetch == nil ||
		got.Status.Prefetch.Phase != v1alpha1.DataSuccess {
		t.Errorf("status: %+v, %v", got.Status.Prefetch, err)
	}
}
