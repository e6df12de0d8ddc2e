// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// holding is a NodeStore with what a namespace has of a template.
func holding(node, namespace string, template v1alpha1.DataTemplateSpec) *v1alpha1.NodeStore {
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: node}}
	store := v1alpha1.NamespaceStore{Namespace: namespace, AvailableBytes: 1 << 40}
	for _, mark := range placement.Marks(template) {
		store.Snapshots = append(store.Snapshots, v1alpha1.StoredSnapshot{Marks: []string{mark}, Bytes: 1 << 30,
			Phase: v1alpha1.SnapshotComplete})
	}
	s.Status.Stores = []v1alpha1.NamespaceStore{store}
	return s
}

func places(reader client.Reader, stores ...*v1alpha1.NodeStore) *Places {
	x := index.NewIndex(index.Options{})
	for _, s := range stores {
		x.Set(s)
	}
	return &Places{Index: x, Ready: func() bool { return true }, Wants: &placement.Memo{Reader: reader}}
}

func placed(t *testing.T, h *Pods, outcome string) float64 {
	t.Helper()
	m := &dto.Metric{}
	if err := h.Metrics.placements.WithLabelValues(outcome).Write(m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// prefers returns the annotation that the patch of a pod of shop sets.
func prefers(t *testing.T, h *Pods) string {
	t.Helper()
	resp := h.Handle(t.Context(), create(t, replica()))
	if !resp.Allowed || len(resp.Patch) == 0 || len(resp.Warnings) > 0 {
		t.Fatalf("the pod is not injected: %+v", resp)
	}
	var ops []inject.Operation
	if err := json.Unmarshal(resp.Patch, &ops); err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		if op.Path == "/metadata/annotations" {
			value, _ := op.Value.(map[string]any)[v1alpha1.AnnotationPlacement].(string)
			return value
		}
	}
	t.Fatalf("no annotations in %s", resp.Patch)
	return ""
}

func TestAPodPrefersNodesThatHoldTheDataOfItsNamespace(t *testing.T) {
	template := dataSet().Spec.Template
	half := template
	half.DataItems = half.DataItems[:1]
	h := handler(t, shop("shop")...)
	h.Places = places(h.Live, holding("a", "shop", template), holding("b", "shop", half), holding("c", "bank", template))
	if got := prefers(t, h); got != "a=100,b=50" || placed(t, h, preferred) != 1 {
		t.Errorf("got %q", got)
	}
	h.Places.Index.Delete("a")
	h.Places.Index.Delete("b")
	if got := prefers(t, h); got != "" || placed(t, h, none) != 1 {
		t.Errorf("with no holder: got %q", got)
	}
}

func TestAPodPrefersNodesThatHoldTheRevisionItGets(t *testing.T) {
	objects := shop("shop")
	ds := objects[0].(*v1alpha1.DataSet)
	stable := *ds.Spec.Template.DeepCopy()
	ds.Spec.Template.DataItems[0].Version = "2"
	raw, err := json.Marshal(stable)
	if err != nil {
		t.Fatal(err)
	}
	ds.Status = v1alpha1.DataSetStatus{CurrentRevision: "model-1", UpdateRevision: "model-2"}
	r := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "model-1"}, Data: runtime.RawExtension{Raw: raw}}
	h := handler(t, append(objects, r)...)
	stores := []*v1alpha1.NodeStore{holding("old", "shop", stable), holding("new", "shop", ds.Spec.Template)}
	h.Places = places(h.Live, stores...)
	if got := prefers(t, h); got != "old=100,new=50" {
		t.Errorf("while the first revision is the stable one: got %q", got)
	}
	ds.Status.CurrentRevision = "model-2"
	h = handler(t, objects...)
	h.Places = places(h.Live, stores...)
	if got := prefers(t, h); got != "new=100,old=50" {
		t.Errorf("after the rollout: got %q", got)
	}
}

// deaf reads no ControllerRevision.
type deaf struct{ client.Reader }

func (d deaf) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	if _, ok := object.(*appsv1.ControllerRevision); ok {
		return errors.New("forbidden")
	}
	return d.Reader.Get(ctx, key, object, opts...)
}

func TestAPodIsInjectedWithoutPreferencesWhenPlacementIsUnknown(t *testing.T) {
	for name, spoil := range map[string]func(*Pods){
		"the index is not filled":     func(h *Pods) { h.Places.Ready = func() bool { return false } },
		"the revision cannot be read": func(h *Pods) { h.Places.Wants.Reader = deaf{h.Live} },
	} {
		t.Run(name, func(t *testing.T) {
			objects := shop("shop")
			ds := objects[0].(*v1alpha1.DataSet)
			ds.Status = v1alpha1.DataSetStatus{CurrentRevision: "model-1", UpdateRevision: "model-2"}
			h := handler(t, objects...)
			h.Required = true
			h.Places = places(h.Live, holding("a", "shop", ds.Spec.Template))
			spoil(h)
			if got := prefers(t, h); got != "" || placed(t, h, unknown) != 1 || counted(t, h, injected) != 1 {
				t.Errorf("got %q, %v unknown", got, placed(t, h, unknown))
			}
		})
	}
}

func TestPlacementIgnoreAndEnableAffinityFalseGiveNoPreference(t *testing.T) {
	ignored := shop("shop")
	ignored[0].(*v1alpha1.DataSet).Spec.Placement = v1alpha1.PlacementIgnore
	template := dataSet().Spec.Template
	h := handler(t, ignored...)
	h.Places = places(h.Live, holding("a", "shop", template))
	if got := prefers(t, h); got != "" {
		t.Errorf("placement Ignore: got %q", got)
	}
	h = handler(t, shop("shop")...)
	h.Places = places(h.Live, holding("a", "shop", template))
	settings := h.Settings()
	settings.Affinity = false
	h.Settings = func() inject.Settings { return settings }
	if got := prefers(t, h); got != "" || placed(t, h, none) != 1 {
		t.Errorf("enableAffinity false: got %q", got)
	}
}

func TestPlacementRequireWithoutASchedulerGetsAWarning(t *testing.T) {
	prefer, require := dataSet(), dataSet(func(s *v1alpha1.DataSetSpec) { s.Placement = v1alpha1.PlacementRequire })
	for name, c := range map[string]struct {
		last, next *v1alpha1.DataSet
		scheduler  string
		want       bool
	}{
		"created":        {nil, require, "", true},
		"changed to it":  {prefer, require, "", true},
		"with scheduler": {nil, require, "kuda-scheduler", false},
		"edited":         {require, require, "", false},
		"prefer":         {require, prefer, "", false},
	} {
		got := warnRequire(c.last, c.next, c.scheduler)
		if (len(got) == 1) != c.want || c.want && !strings.Contains(got[0], "kuda-config") {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// manyHolders are 1,000 NodeStores of 50 snapshots each; a tenth of the nodes
// hold the template.
func manyHolders(template v1alpha1.DataTemplateSpec) []*v1alpha1.NodeStore {
	var stores []*v1alpha1.NodeStore
	for i := range 1000 {
		s := holding(fmt.Sprint("node-", i), "shop", template)
		store := &s.Status.Stores[0]
		if i%10 != 0 {
			store.Snapshots = nil
		}
		for j := len(store.Snapshots); j < 50; j++ {
			store.Snapshots = append(store.Snapshots, v1alpha1.StoredSnapshot{
				Marks: []string{fmt.Sprintf("%032x", (i*31+j)%5000)}, Bytes: 1 << 30, Phase: v1alpha1.SnapshotComplete,
			})
		}
		stores = append(stores, s)
	}
	return stores
}

// BenchmarkHandlePlaced handles pods of one of a hundred DataSets, with a thousand nodes of
// which each reports now and then: every tenth pod comes after a report.
func BenchmarkHandlePlaced(b *testing.B) {
	for name, reports := range map[string]bool{"quiet": false, "reports": true} {
		b.Run(name, func(b *testing.B) {
			h := handler(b)
			m := &memory{}
			for i := range 100 {
				ds := dataSet(func(s *v1alpha1.DataSetSpec) { s.WorkloadSelector["app"] = fmt.Sprint("other-", i) })
				ds.Name = fmt.Sprint("other-", i)
				m.dataSets.Items = append(m.dataSets.Items, *ds)
			}
			m.dataSets.Items = append(m.dataSets.Items, *dataSet())
			stores := manyHolders(dataSet().Spec.Template)
			h.Cache, h.Live, h.Places = m, m, places(m, stores...)
			req := create(b, replica())
			var took []time.Duration
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if reports && i%10 == 0 {
					h.Places.Index.Set(stores[i%len(stores)])
				}
				req.UID = "abc"
				began := time.Now()
				resp := h.Handle(b.Context(), req)
				took = append(took, time.Since(began))
				if !strings.Contains(string(resp.Patch), "kuda.io/placement") {
					b.Fatal("the pod prefers nothing")
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
