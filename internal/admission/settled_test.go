// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
)

// wire is the news of replicas in one process.
type wire struct {
	broken    bool
	listeners []func(string)
}

func (w *wire) Listen(f func(string)) { w.listeners = append(w.listeners, f) }
func (w *wire) IsComplete() bool      { return !w.broken }
func (w *wire) Tell(_ context.Context, namespace string) {
	for _, f := range w.listeners {
		f(namespace)
	}
}

// replicaOf returns a replica of the webhook.
func (w *wire) replicaOf(cached, live client.Reader) *Pods {
	p := &Pods{Cache: cached, Live: live, News: w, looks: newLooks(), Log: logr.Discard()}
	w.Listen(p.looks.changed.note)
	return p
}

// silent fails the test when it is asked.
type silent struct {
	client.Reader
	t testing.TB
}

func (s silent) List(context.Context, client.ObjectList, ...client.ListOption) error {
	s.t.Error("the API server was asked for a list")
	return nil
}

func TestPodsOfAQuietNamespaceCostNoCallOfTheAPIServer(t *testing.T) {
	old := *dataSet()
	old.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
	cached := &memory{dataSets: v1alpha1.DataSetList{Items: []v1alpha1.DataSet{old}}}
	p := new(wire).replicaOf(cached, silent{t: t})
	if got, err := p.dataSets(t.Context(), "shop", false); err != nil || len(got) != 1 {
		t.Errorf("found %d, %v", len(got), err)
	}
	p = new(wire).replicaOf(emptyCache{}, silent{t: t})
	if got, err := p.dataSets(t.Context(), "shop", false); err != nil || len(got) != 0 {
		t.Errorf("found %d, %v", len(got), err)
	}
}

// TestADataSetOfTheSameManifestIsFoundWhicheverReplicaIsAsked: the caches hear of nothing at
// all, and the DataSet is reviewed by one replica and its pod by another.
func TestADataSetOfTheSameManifestIsFoundWhicheverReplicaIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{}
		api := &late{takes: 80 * time.Millisecond}
		replicas := []*Pods{w.replicaOf(emptyCache{}, api), w.replicaOf(emptyCache{}, api)}
		for n := range 10 {
			users := &Users{Changed: replicas[n%2].noteChange}
			users.Handle(t.Context(), changeBy("alice", "", `{"metadata":{},"spec":{}}`))
			api.dataSets = several(n+1, time.Now())
			for at, p := range replicas {
				if got, err := p.dataSets(t.Context(), "shop", false); err != nil || len(got) != n+1 {
					t.Errorf("round %d, replica %d: found %d, %v", n, at, len(got), err)
				}
			}
			time.Sleep(2 * youngFor)
		}
	})
}

func TestAReplicaThatMayHaveMissedNewsAsksTheAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{broken: true}
		p := w.replicaOf(emptyCache{}, &late{dataSets: several(1, time.Now()), cached: 1})
		if got, err := p.dataSets(t.Context(), "shop", false); err != nil || len(got) != 1 {
			t.Errorf("found %d, %v", len(got), err)
		}
	})
}

func TestAPodThatRequiresItsDataIsLookedUpAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(wire).replicaOf(emptyCache{}, &late{dataSets: several(1, time.Now().Add(-time.Hour)), cached: 1})
		if got, err := p.dataSets(t.Context(), "shop", true); err != nil || len(got) != 1 {
			t.Errorf("found %d, %v", len(got), err)
		}
	})
}

// BenchmarkQuietNamespace handles pods of a namespace with so many DataSets of an hour
// ago, of which one selects the pod or none does.
func BenchmarkQuietNamespace(b *testing.B) {
	cfg, err := config.Parse(nil, "kuda-runtime:v0.1.0")
	if err != nil {
		b.Fatal(err)
	}
	counts, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	stranger := replica()
	stranger.Labels = map[string]string{"app": "stranger"}
	for _, n := range []int{0, 1, 100, 1000} {
		cached := &memory{}
		for i := range n {
			d := *dataSet(func(s *v1alpha1.DataSetSpec) {
				if i > 0 {
					s.WorkloadSelector["app"] = fmt.Sprint("other-", i)
				}
			})
			d.Namespace, d.Name, d.CreationTimestamp = "shop", fmt.Sprint("model-", i), metav1.NewTime(time.Now().Add(-time.Hour))
			cached.dataSets.Items = append(cached.dataSets.Items, d)
		}
		p := new(wire).replicaOf(cached, silent{Reader: cached, t: b})
		p.Metrics, p.Settings = counts, func() inject.Settings { return cfg.Settings(nil) }
		for name, pod := range map[string]*corev1.Pod{"selected": replica(), "unselected": stranger} {
			b.Run(fmt.Sprintf("%s/dataSets=%d", name, n), func(b *testing.B) {
				raw, err := json.Marshal(pod)
				if err != nil {
					b.Fatal(err)
				}
				req := create(b, pod)
				req.Object.Raw = raw
				b.ReportAllocs()
				for b.Loop() {
					if resp := p.Handle(b.Context(), req); (len(resp.Patch) > 0) != (name == "selected" && n > 0) {
						b.Fatal("wrongly injected")
					}
				}
			})
		}
	}
}
