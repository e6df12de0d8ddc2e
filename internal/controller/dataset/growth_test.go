// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/rollout"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// unwritten fails the test when something is written.
type unwritten struct {
	client.Client
	t testing.TB
}

func (u unwritten) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	u.t.Error("a Data that is as it is to be was written")
	return nil
}

// newFleet returns a pass over a DataSet of so many pods, all of which are delivered.
func newFleet(t testing.TB, pods int) (*Reconciler, *session) {
	t.Helper()
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", UID: "set", Generation: 1}}
	d.Spec.WorkloadSelector = map[string]string{"app": "web"}
	for n := range 8 {
		d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, v1alpha1.DataItem{
			Namespace: "default", Name: fmt.Sprint("m", n), Version: "v1", LocalPath: fmt.Sprint("/m", n),
		})
	}
	update, err := revision.New(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{set: d, update: update, now: start, plan: rollout.Plan{New: update.Name}}
	s.observed = &observation{history: []*appsv1.ControllerRevision{update}}
	for n := range pods {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-%05d", n), Namespace: "shop",
			UID: types.UID(fmt.Sprint("pod-", n)), Labels: d.Spec.WorkloadSelector}}
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}
		data := assignment.New(d, p, assignment.Spec(update.Name, p.Name, *d.Spec.Template.DeepCopy()))
		data.UID, data.Generation, data.Name = types.UID(fmt.Sprint("data-", n)), 1, p.Name
		data.Status = v1alpha1.DataStatus{ObservedRevision: update.Name, CurrentRevision: update.Name, DataItems: 8, Success: 8}
		for i := range data.Spec.DataItems {
			data.Status.DataItemsStatus = append(data.Status.DataItemsStatus, v1alpha1.DataItemStatus{
				Namespace: "default", Name: data.Spec.DataItems[i].Name, Phase: v1alpha1.DataSuccess, Digest: "xxh3:0123456789abcdef",
			})
		}
		x := &replica{pod: p}
		x.setData(data)
		s.observed.live, s.observed.data = append(s.observed.live, x), append(s.observed.data, data)
	}
	r, err := New(Options{Client: unwritten{t: t}, Clock: clocktesting.NewFakePassiveClock(start), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

func TestAPassComparesOnlyTheSpecsThatChanged(t *testing.T) {
	r, s := newFleet(t, 100)
	key := keyOf(s.set)
	for range 2 {
		if err := r.applyPlan(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.checked.sets[key]); n != 100 {
		t.Errorf("%d specs are known to be as they are to be", n)
	}
	first := s.observed.live[0]
	if !r.checked.isUnchanged(key, first, s.update.Name, "") {
		t.Error("a spec that was compared is compared again")
	}
	changed := first.data.DeepCopy()
	changed.Generation++
	first.setData(changed)
	if r.checked.isUnchanged(key, first, s.update.Name, "") || r.checked.isUnchanged(key, s.observed.live[1], "other", "") ||
		r.checked.isUnchanged(key, s.observed.live[1], s.update.Name, "other") {
		t.Error("a spec that changed, or is to change, is not compared")
	}
	s.observed.live = s.observed.live[:10]
	if err := r.applyPlan(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if n := len(r.checked.sets[key]); n != 10 {
		t.Errorf("%d are remembered of 10", n)
	}
	r.forgetDataSet(key)
	if len(r.checked.sets) != 0 {
		t.Error("a DataSet that is gone is remembered")
	}
}

// BenchmarkPass makes what a pass makes in memory: the observation, the plan, the comparison
// of all specs and of all digests.
func BenchmarkPass(b *testing.B) {
	for _, pods := range []int{1000, 3000, 10000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			r, s := newFleet(b, pods)
			podList, datas := make([]corev1.Pod, pods), make([]v1alpha1.Data, pods)
			for i, x := range s.observed.live {
				podList[i], datas[i] = *x.pod, *x.data
			}
			b.ReportAllocs()
			begun := time.Now()
			for b.Loop() {
				o := newObservation(s.set, podList, datas, s.observed.history)
				rollout.Decide(s.rolloutInput(s.update.Name))
				if err := r.applyPlan(b.Context(), s); err != nil {
					b.Fatal(err)
				}
				driftCondition(o.data)
			}
			b.ReportMetric(float64(time.Since(begun).Nanoseconds())/float64(b.N)/float64(pods), "ns/pod")
		})
	}
}
