// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestCachesCountForTheRevisionThatNewPodsGet(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC))
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "model", Generation: 1}}
	d.Status.ObservedGeneration, d.Status.CurrentRevision, d.Status.UpdateRevision = 1, "r1", "r1"
	if c := Cached(d); len(c.Hosts) != 0 || c.DataSet != "model" {
		t.Errorf("without a cache: %+v", c)
	}
	d.Status.Preheat = &v1alpha1.PreheatStatus{Revision: "r1", Cache: &v1alpha1.PreheatCacheStatus{
		Phase: v1alpha1.PreheatReady, TotalBytes: 5, Time: &at, Holders: []v1alpha1.CacheHolder{{Host: "10.0.0.1", Bytes: 5}}}}
	if c := Cached(d); c.Hosts["10.0.0.1"] != 5 || c.Total != 5 || !c.Observed.Equal(at.Time) {
		t.Errorf("with one: %+v", c)
	}
	d.Status.Preheat.Revision = "r0"
	if c := Cached(d); len(c.Hosts) != 0 {
		t.Errorf("of another revision: %+v", c)
	}
}
