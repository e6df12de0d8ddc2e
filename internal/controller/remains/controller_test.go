// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// notes are the events.
type notes []string

func (n *notes) Eventf(_, _ runtime.Object, _, reason, _, note string, args ...any) {
	*n = append(*n, reason+" "+fmt.Sprintf(note, args...))
}

type bench struct {
	*Reconciler
	client.Client
	notes notes
	clock *clocktesting.FakePassiveClock
}

// newBench has node n1 with the directory of namespace gone, and namespace alive.
func newBench(t *testing.T, funcs interceptor.Funcs, cached ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "u1"}}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now)}}
	s := &v1alpha1.NodeStore{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "s1",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "u1"}}},
		Status: v1alpha1.NodeStoreStatus{Closed: true, Directories: []v1alpha1.StoreDirectory{
			{Namespace: "alive", UID: "a"}, {Namespace: "gone", UID: "0b6f1e0c-6c8f-4f0e-a2f9-d1d5f6b7a8c9"},
		}},
	}
	alive := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "alive", UID: "a"}}
	if funcs.Create == nil {
		funcs.Create = func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			o.SetCreationTimestamp(metav1.NewTime(now))
			return c.Create(ctx, o, options...)
		}
	}
	build := func(objects ...client.Object) client.WithWatch {
		return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.NodeStore{},
			&corev1.Pod{}).WithInterceptorFuncs(funcs).Build()
	}
	b := &bench{Client: build(node, s, alive), clock: clocktesting.NewFakePassiveClock(now)}
	live := b.Client
	if len(cached) > 0 {
		live = build(append(cached, node.DeepCopy(), alive.DeepCopy())...)
	}
	var err error
	b.Reconciler, err = New(Options{
		Client: b.Client, Live: live, Recorder: &b.notes, Clock: b.clock, Image: "kuda-runtime:test",
		HostPath: func() string { return "/data/kuda" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) pass(t *testing.T) time.Duration {
	t.Helper()
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "n1"}})
	if err != nil {
		t.Fatal(err)
	}
	return result.RequeueAfter
}

func (b *bench) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := b.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// end has the only pod end.
func (b *bench) end(t *testing.T, phase corev1.PodPhase) {
	t.Helper()
	p := b.pods(t)[0]
	p.Status.Phase = phase
	if err := b.Status().Update(t.Context(), &p); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) directories(t *testing.T) []v1alpha1.StoreDirectory {
	t.Helper()
	var s v1alpha1.NodeStore
	if err := b.Get(t.Context(), client.ObjectKey{Name: "n1"}, &s); err != nil {
		t.Fatal(err)
	}
	return s.Status.Directories
}

func TestADirectoryIsForgottenOnlyOnceItIsRemoved(t *testing.T) {
	b := newBench(t, interceptor.Funcs{})
	b.pass(t)
	pods := b.pods(t)
	if len(pods) != 1 || pods[0].Namespace != Namespace {
		t.Fatalf("pods: %v", pods)
	}
	c := pods[0].Spec.Containers[0]
	if got := strings.Join(c.Command, " "); got != "/kuda-runtime node remove gone --uid=0b6f1e0c-6c8f-4f0e-a2f9-d1d5f6b7a8c9 "+
		"--name-is-gone" || c.Image != "kuda-runtime:test" {
		t.Errorf("it runs %s of %s", got, c.Image)
	}
	if got := pods[0].Spec.Volumes[0].HostPath.Path; got != "/data/kuda" {
		t.Errorf("it works on %s", got)
	}
	if wake := b.pass(t); wake == 0 || len(b.pods(t)) != 1 || len(b.directories(t)) != 2 {
		t.Error("the pod is not waited for")
	}
	b.end(t, corev1.PodFailed)
	b.pass(t)
	if len(b.directories(t)) != 2 || len(b.pods(t)) != 0 {
		t.Error("the pod failed, and the directory is forgotten or the pod is kept")
	}
	if wake := b.pass(t); wake != time.Minute || len(b.pods(t)) != 0 {
		t.Errorf("it is tried again in %s, want a minute", wake)
	}
	b.clock.SetTime(now.Add(time.Minute))
	b.pass(t)
	b.end(t, corev1.PodSucceeded)
	b.pass(t)
	if got := b.directories(t); len(got) != 1 || got[0].Namespace != "alive" || len(b.pods(t)) != 0 {
		t.Errorf("directories %v, %d pods", got, len(b.pods(t)))
	}
	if b.pass(t); len(b.pods(t)) != 0 {
		t.Error("there is nothing left to do, and a pod for it")
	}
	if len(b.notes) != 2 || !strings.HasPrefix(b.notes[0], v1alpha1.EventStoreNotRemoved) ||
		!strings.HasPrefix(b.notes[1], v1alpha1.EventStoreRemoved) {
		t.Errorf("events: %q", b.notes)
	}
}

func TestACacheThatIsBehindRemovesNothing(t *testing.T) {
	b := newBench(t, interceptor.Funcs{},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gone", UID: "0b6f1e0c-6c8f-4f0e-a2f9-d1d5f6b7a8c9"}})
	if b.pass(t); len(b.pods(t)) != 0 {
		t.Errorf("a namespace that the API server has is taken for gone: %v", b.pods(t)[0].Spec.Containers[0].Command)
	}
}

func TestANodeThatIsNotReadyIsLeftAlone(t *testing.T) {
	b := newBench(t, interceptor.Funcs{})
	var n corev1.Node
	if err := b.Get(t.Context(), client.ObjectKey{Name: "n1"}, &n); err != nil {
		t.Fatal(err)
	}
	n.Status.Conditions[0].Status = corev1.ConditionUnknown
	if err := b.Status().Update(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	if wake := b.pass(t); wake != 0 || len(b.pods(t)) != 0 {
		t.Error("a pod is made that does not run")
	}
}

func TestAPodThatIsRefusedIsTriedAgainLater(t *testing.T) {
	refuse := interceptor.Funcs{Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, o.GetName(), fmt.Errorf("the policy kuda-node-pods"))
	}}
	b := newBench(t, refuse)
	if wake := b.pass(t); wake != time.Minute || len(b.notes) != 1 || !strings.Contains(b.notes[0], "kuda-node-pods") {
		t.Errorf("again in %s, events %q", wake, b.notes)
	}
}

func TestNotAllNodesAreWorkedOnAtOnce(t *testing.T) {
	b := newBench(t, interceptor.Funcs{})
	for i := range maxPods {
		if err := b.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace,
			Name: fmt.Sprint("other-", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if wake := b.pass(t); wake != pause || len(b.pods(t)) != maxPods {
		t.Errorf("there are %d pods; again in %s", len(b.pods(t)), wake)
	}
}

func TestThePodPullsItsImageWithoutTheInstallationsSecrets(t *testing.T) {
	want := []corev1.LocalObjectReference{{Name: "registry-key"}}
	r := &Reconciler{hostPath: func() string { return "/" }, secrets: func() []corev1.LocalObjectReference { return want }}
	if got := r.newPod(&v1alpha1.NodeStore{}, task{}).Spec.ImagePullSecrets; !slices.Equal(got, want) {
		t.Errorf("pull secrets: %v", got)
	}
}

func TestAPodOfAnUnknownTaskRemovesNoDirectory(t *testing.T) {
	b := newBench(t, interceptor.Funcs{})
	var s v1alpha1.NodeStore
	if err := b.Get(t.Context(), client.ObjectKey{Name: "n1"}, &s); err != nil {
		t.Fatal(err)
	}
	foreign := b.newPod(&s, task{namespace: "other", uid: "x"})
	foreign.Status.Phase = corev1.PodSucceeded
	if err := b.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	if b.pass(t); len(b.directories(t)) != 2 || len(b.pods(t)) != 0 {
		t.Errorf("directories %v, %d pods", b.directories(t), len(b.pods(t)))
	}
	if got := slices.Clone(b.notes); len(got) != 0 {
		t.Errorf("events: %q", got)
	}
}
