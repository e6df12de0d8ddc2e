// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// bench is a reconciler over an API server that counts writes.
type bench struct {
	*Reconciler
	t       *testing.T
	client  client.Client
	clock   *clocktesting.FakePassiveClock
	analyst analyst
	writes  []string
	events  []string
	// refuse refuses writes, when it is set and says something.
	refuse func(client.Object) error
	// asked is the newest request for a retry.
	asked string
}

func (b *bench) Eventf(_, _ runtime.Object, _, reason, _, _ string, _ ...any) {
	b.events = append(b.events, reason)
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{t: t, clock: clocktesting.NewFakePassiveClock(start)}
	var mu sync.Mutex
	count := func(verb string, o client.Object) error {
		mu.Lock()
		defer mu.Unlock()
		b.writes = append(b.writes, fmt.Sprintf("%s %T", verb, o))
		if b.refuse != nil {
			return b.refuse(o)
		}
		return nil
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.DataSet{}, &v1alpha1.Data{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if err := count("create", o); err != nil {
					return err
				}
				return c.Create(ctx, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				if err := count("patch", o); err != nil {
					return err
				}
				return c.Patch(ctx, o, p, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				if err := count("delete", o); err != nil {
					return err
				}
				return c.Delete(ctx, o, opts...)
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch,
				opts ...client.SubResourcePatchOption) error {
				if err := count("status", o); err != nil {
					return err
				}
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			},
		})
	for _, i := range fieldindex.Indexes() {
		builder = builder.WithIndex(i.Object, i.Field, i.Values)
	}
	b.client = builder.Build()
	b.restart()
	return b
}

// restart makes another reconciler on the same objects, as after a crash.
func (b *bench) restart() {
	b.t.Helper()
	r, err := New(Options{Client: b.client, Live: b.client, Recorder: b, Clock: b.clock, Registry: prometheus.NewRegistry(),
		Analyst: &b.analyst})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Reconciler = r
}

var key = types.NamespacedName{Namespace: "shop", Name: "models"}

// pass reconciles and returns how many writes that took.
func (b *bench) pass() int {
	b.t.Helper()
	b.writes = nil
	if _, err := b.Reconcile(b.t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		b.t.Fatal(err)
	}
	return len(b.writes)
}

func (b *bench) set() *v1alpha1.DataSet {
	b.t.Helper()
	var d v1alpha1.DataSet
	if err := b.client.Get(b.t.Context(), key, &d); err != nil {
		b.t.Fatal(err)
	}
	return &d
}

func (b *bench) edit(version string) {
	b.t.Helper()
	d := b.set()
	d.Spec.Template.DataItems[0].Version = version
	d.Generation++
	if err := b.client.Update(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
}

// play plays all runtimes at once; they get the same bytes, or not.
func (b *bench) play(same bool) {
	b.t.Helper()
	var list v1alpha1.DataList
	if err := b.client.List(b.t.Context(), &list); err != nil {
		b.t.Fatal(err)
	}
	for i := range list.Items {
		d := &list.Items[i]
		digest := "xxh3:0123456789abcdef"
		if !same {
			digest = fmt.Sprintf("xxh3:%016d", i)
		}
		d.Status = v1alpha1.DataStatus{
			ObservedRevision: d.Spec.Revision, CurrentRevision: d.Spec.Revision, DataItems: 1, Success: 1, Ready: "1/1",
			DataItemsStatus: []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: v1alpha1.DataSuccess, Digest: digest}},
		}
		if err := b.client.Status().Update(b.t.Context(), d); err != nil {
			b.t.Fatal(err)
		}
	}
}

func models() *v1alpha1.DataSet {
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", UID: "set", Generation: 1},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": "web"},
			Template: v1alpha1.DataTemplateSpec{
				DataItems:   []v1alpha1.DataItem{{Namespace: "default", Name: "m", Version: "v1", DataSourceType: v1alpha1.DataSourceHTTP}},
				DataSources: v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "http://h/"}},
			},
		},
	}
}

func web(name string, injected bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("uid-" + name),
		Labels: map[string]string{"app": "web"}}}
	if injected {
		always := corev1.ContainerRestartPolicyAlways
		p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "models"}
		p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName, RestartPolicy: &always}}
		p.Spec.NodeName = "node-" + name
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(start.Add(-time.Hour)),
		}}
	}
	return p
}

func TestASecondPassWritesNothing(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true), web("late", false))
	if n := b.pass(); n != 6 {
		t.Errorf("the first pass made %d writes %v; want a revision and its mark, two Data, the status before and after them", n, b.writes)
	}
	for range 2 {
		if n := b.pass(); n != 0 {
			t.Fatalf("a pass over an unchanged cluster wrote: %v", b.writes)
		}
	}
	b.play(true)
	b.pass()
	if n := b.pass(); n != 0 {
		t.Fatalf("a pass over a delivered cluster wrote: %v", b.writes)
	}
	told := 0
	for _, e := range b.events {
		if e == v1alpha1.EventPodNotInjected {
			told++
		}
	}
	if told != 2 {
		t.Errorf("events: %v; want one for the pod and one for the DataSet", b.events)
	}
}

func TestATerminatingNamespaceIsNoError(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for name, kind := range map[string]client.Object{"revision": &appsv1.ControllerRevision{}, "Data": &v1alpha1.Data{}} {
		b := newBench(t, models(), web("web-0", true))
		refused := 0
		b.refuse = func(o client.Object) error {
			if reflect.TypeOf(o) != reflect.TypeOf(kind) {
				return nil
			}
			refused++
			return terminating
		}
		if result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil || !result.IsZero() || refused != 1 {
			t.Errorf("%s: %+v, %v, after %d refusals", name, result, err, refused)
		}
	}
}

func TestRevisionHistoryLimitBoundsTheRevisions(t *testing.T) {
	d := models()
	limit := int32(2)
	d.Spec.RevisionHistoryLimit = &limit
	b := newBench(t, d, web("a", true))
	for i := range 8 {
		b.edit(fmt.Sprintf("v%d", i))
		for range 3 {
			b.pass()
			b.play(true)
		}
	}
	var list appsv1.ControllerRevisionList
	if err := b.client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 3 {
		t.Errorf("%d revisions, want the one in use and 2", len(list.Items))
	}
	s := b.set().Status
	if s.CurrentRevision != s.UpdateRevision || s.Ready != "1/1" {
		t.Errorf("status: %+v", s)
	}
}

func TestARolloutCompletesWithoutItsStableRevision(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	b.pass()
	b.play(true)
	b.pass()
	b.edit("v2")
	if err := b.client.DeleteAllOf(t.Context(), &appsv1.ControllerRevision{}, client.InNamespace("shop")); err != nil {
		t.Fatal(err)
	}
	first := b.set().Status.CurrentRevision
	b.pass()
	if s := b.set().Status; s.CurrentRevision != first || s.UpdateRevision == first {
		t.Errorf("the Data still remember %s: %+v", first, s)
	}
	for range 3 {
		b.play(true)
		b.pass()
	}
	if s := b.set().Status; s.UpdatedReplicas != 2 || s.CurrentRevision != s.UpdateRevision {
		t.Errorf("status: %+v", s)
	}
}

func TestPromise4ChangedBytesUnderOneVersionSetSourceDrifted(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	b.pass()
	b.play(false)
	b.pass()
	c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionSourceDrifted)
	if c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "pod a") || !strings.Contains(c.Message, "pod b") {
		t.Errorf("condition: %+v", c)
	}
}

func TestASucceededPodStillCountsAsDelivered(t *testing.T) {
	b := newBench(t, models(), web("job", true), web("broken", true))
	b.pass()
	b.play(true)
	for name, phase := range map[string]corev1.PodPhase{"job": corev1.PodSucceeded, "broken": corev1.PodFailed} {
		p := web(name, true)
		if err := b.client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			t.Fatal(err)
		}
		p.Status.Phase = phase
		if err := b.client.Status().Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	b.pass()
	if s := b.set().Status; s.Ready != "1/1" {
		t.Errorf("status: %+v", s)
	}
	b.edit("v2")
	b.pass()
	if s := b.set().Status; s.Ready != "1/1" || s.CurrentRevision != s.UpdateRevision {
		t.Errorf("the next pod would not start with v2: %+v", s)
	}
	b.expect("between two runs", "Delivering 1/1 Ready Delivered")
}

func TestRemovalEndsWhenThePodIsDeleted(t *testing.T) {
	d := models()
	d.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRemove
	b := newBench(t, d, web("a", true))
	b.pass()
	if got := b.set().Finalizers; len(got) != 1 {
		t.Fatalf("finalizers: %v", got)
	}
	if err := b.client.Delete(t.Context(), b.set()); err != nil {
		t.Fatal(err)
	}
	b.pass()
	if n := b.pass(); n != 0 {
		t.Errorf("waiting wrote: %v", b.writes)
	}
	var list v1alpha1.DataList
	if err := b.client.List(t.Context(), &list); err != nil || len(list.Items) != 1 || !list.Items[0].Spec.Withdraw {
		t.Fatalf("Data: %+v, %v", list.Items, err)
	}
	if err := b.client.Delete(t.Context(), web("a", true)); err != nil {
		t.Fatal(err)
	}
	b.pass()
	if err := b.client.Get(t.Context(), key, d); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the DataSet is still there: %v", err)
	}
}

func TestAPodThatLeavesIsShownAndOneThatReturnsIsServed(t *testing.T) {
	d := models()
	d.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRemove
	b := newBench(t, d, web("a", true), web("b", true))
	b.pass()
	b.play(true)
	relabel := func(app string) {
		t.Helper()
		var p corev1.Pod
		if err := b.client.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "b"}, &p); err != nil {
			t.Fatal(err)
		}
		p.Labels["app"] = app
		if err := b.client.Update(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
	}
	of := func(name string) *v1alpha1.Data {
		t.Helper()
		var list v1alpha1.DataList
		if err := b.client.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if list.Items[i].Spec.PodName == name {
				return &list.Items[i]
			}
		}
		t.Fatalf("no Data of pod %s", name)
		return nil
	}
	relabel("other")
	leaving := of("b")
	leaving.Spec.Withdraw = true // the Data controller's
	if err := b.client.Update(t.Context(), leaving); err != nil {
		t.Fatal(err)
	}
	b.pass()
	ready := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionReady)
	if b.set().Status.Ready != "1/1" || !strings.Contains(ready.Message, "no longer selected") ||
		!strings.Contains(ready.Message, "the first is b") {
		t.Errorf("%+v", ready)
	}
	relabel("web")
	b.pass()
	if of("b").Spec.Withdraw {
		t.Error("a pod that is selected again is still asked to take the items out")
	}
}

func TestADataNameIsShortUnlessItIsTaken(t *testing.T) {
	gone := web("a", true)
	gone.UID = "uid-before"
	// Of a pod of the same name that is gone, of another DataSet, and of an older Kuda.
	before := assignment.New(models(), gone, v1alpha1.DataSpec{PodName: "a"})
	other := models()
	other.Name = "models-x"
	foreign := assignment.New(other, web("b", true), v1alpha1.DataSpec{PodName: "b"})
	older := assignment.New(models(), web("c", true), v1alpha1.DataSpec{PodName: "c"})
	older.Name = "models-c-0123456789abcdef"
	b := newBench(t, models(), web("a", true), web("x-b", true), web("c", true), web("d", true), before, foreign, older)
	b.pass()
	var list v1alpha1.DataList
	if err := b.client.List(t.Context(), &list, client.MatchingLabels{v1alpha1.LabelDataSet: "models"}); err != nil {
		t.Fatal(err)
	}
	names := map[types.UID]string{}
	for i := range list.Items {
		if uid := assignment.PodUID(&list.Items[i]); names[uid] != "" {
			t.Errorf("pod %s has two Data: %s and %s", uid, names[uid], list.Items[i].Name)
		} else {
			names[uid] = list.Items[i].Name
		}
	}
	for uid, want := range map[types.UID]string{
		"uid-a": assignment.Name("models", "a", "uid-a", 1), "uid-x-b": assignment.Name("models", "x-b", "uid-x-b", 1),
		"uid-c": "models-c-0123456789abcdef", "uid-d": "models-d", "uid-before": "models-a",
	} {
		if names[uid] != want {
			t.Errorf("the Data of pod %s is called %s, want %s", uid, names[uid], want)
		}
	}
	b.writes = nil
	if n := b.pass(); n != 0 {
		t.Errorf("a second pass wrote: %v", b.writes)
	}
}
