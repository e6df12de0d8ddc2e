// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const namespace = "kuda-system"

func api(t *testing.T, funcs interceptor.Funcs, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(funcs).Build()
}

// stored is the Lease of a replica, and its list.
func stored(t *testing.T, c client.Client, replica string) (coordinationv1.Lease, List) {
	t.Helper()
	var l coordinationv1.Lease
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: leaseName(replica)}, &l); err != nil {
		t.Fatal(err)
	}
	list, err := decodeList(l.Annotations[annotation])
	if err != nil {
		t.Fatal(err)
	}
	return l, list
}

func TestAReplicaWritesItsLeaseOnChangesAndToRenewIt(t *testing.T) {
	writes := 0
	var refused error
	c := api(t, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			writes++
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			writes++
			if refused != nil {
				return refused
			}
			return c.Update(ctx, o, opts...)
		},
	})
	clock := clocktesting.NewFakeClock(start)
	book := &Book{}
	p := &Publisher{Book: book, Client: c, Namespace: namespace, Replica: "m-0", Clock: clock, Log: logr.Discard()}
	second := func(n int) {
		for range n {
			clock.Step(time.Second)
			p.publishList(t.Context())
		}
	}
	p.publishList(t.Context())
	if l, list := stored(t, c, "m-0"); writes != 1 || len(list) != 0 || l.Labels[label] != labelValue || *l.Spec.LeaseDurationSeconds != 45 {
		t.Fatalf("%d writes: %+v", writes, l)
	}
	leave := book.Enter("p", func() time.Time { return clock.Now() })
	second(1)
	if _, list := stored(t, c, "m-0"); writes != 2 || !has(list, "p") {
		t.Errorf("%d writes, list %v", writes, list)
	}
	if second(14); writes != 2 {
		t.Errorf("nothing new, and %d writes", writes)
	}
	if second(1); writes != 3 {
		t.Errorf("not renewed: %d writes", writes)
	}
	refused = errors.New("no")
	leave()
	if second(16); writes != 4 {
		t.Errorf("a write that is refused is tried again at once: %d writes", writes)
	}
	refused = nil
	if second(6); writes < 5 {
		t.Errorf("it is not tried again")
	}
	if _, list := stored(t, c, "m-0"); has(list, "p") {
		t.Errorf("who left is still there: %v", list)
	}

	// It was deleted.
	l, _ := stored(t, c, "m-0")
	if err := c.Delete(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
	second(25)
	stored(t, c, "m-0")
}

func TestAReplicaThatStartsAgainGoesOnWithItsLease(t *testing.T) {
	l := lease("m-0", 0, "p")
	l.Namespace, l.ResourceVersion = namespace, ""
	c := api(t, interceptor.Funcs{}, &l)
	p := &Publisher{Book: &Book{}, Client: c, Namespace: namespace, Replica: "m-0", Clock: clocktesting.NewFakeClock(start),
		Log: logr.Discard()}
	p.publishList(t.Context())
	if _, list := stored(t, c, "m-0"); !has(list, "p") {
		t.Errorf("a runtime on its way back is left out: %v", list)
	}
}

func TestTheLeaderTellsOfDataWhosePodsFallSilent(t *testing.T) {
	data := func(name, uid string) *v1alpha1.Data {
		return &v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{v1alpha1.LabelPodUID: uid}}}
	}
	replica := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "m-0", Labels: map[string]string{"app.kubernetes.io/name": "kuda-manager"}},
		Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	mine, old := lease("m-0", 0, "p", "q"), lease("gone", 0)
	mine.Namespace, old.Namespace, mine.ResourceVersion, old.ResourceVersion = namespace, namespace, "", ""
	c := api(t, interceptor.Funcs{}, data("a", "p"), data("b", "q"), replica, &mine, &old)
	clock := clocktesting.NewFakeClock(start)
	changed := make(chan event.GenericEvent, 10)
	w := &Watcher{Roll: NewRoll(), Cached: c, Client: c, Namespace: namespace, Clock: clock, Log: logr.Discard(), Changed: changed}
	pass := func(want ...string) {
		t.Helper()
		if err := w.readLeases(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(changed) != len(want) {
			t.Errorf("%d Data, want %v", len(changed), want)
		}
		for _, name := range want {
			if got := (<-changed).Object; got.GetName() != name || got.GetNamespace() != "shop" {
				t.Errorf("told of %s/%s, want %s", got.GetNamespace(), got.GetName(), name)
			}
		}
	}
	pass("a", "b")
	pass()
	write := func(pods ...string) {
		t.Helper()
		l, _ := stored(t, c, "m-0")
		var marks []Mark
		for _, p := range pods {
			marks = append(marks, MarkOf(types.UID(p)))
		}
		fillLease(&l, "m-0", newList(marks), clock.Now())
		if err := c.Update(t.Context(), &l); err != nil {
			t.Fatal(err)
		}
	}
	write("p")
	pass("b")
	write("p", "q")
	pass("b")
	clock.Step(abandoned)
	write("p", "q")
	if err := w.readLeases(t.Context()); err != nil {
		t.Fatal(err)
	}
	var leases coordinationv1.LeaseList
	if err := c.List(t.Context(), &leases); err != nil || len(leases.Items) != 1 || leases.Items[0].Name != "kuda-gateway-m-0" {
		t.Errorf("Leases: %+v, %v", leases.Items, err)
	}
}
