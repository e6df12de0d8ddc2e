// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func build(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.NodeStore{}).Build()
}

func TestAStaleCacheRemovesNoGoodEntry(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "u1"}}
	node.Status.NodeInfo.BootID = "b1"
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(now)}}
	a := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "uid-a"}}
	b := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "b", UID: "uid-b"}}
	for name, c := range map[string]struct {
		live []client.Object
		want string
	}{
		"the cache knows neither node nor namespaces": {[]client.Object{node, a, b}, "ab"},
		"a namespace is gone":                         {[]client.Object{node, b}, "b"},
		"the node is gone":                            {[]client.Object{a, b}, "gone"},
	} {
		cached := build(t, store("a", "b"))
		r := New(cached, build(t, c.live...))
		if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: "n1"}}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := ""
		var s v1alpha1.NodeStore
		if err := cached.Get(t.Context(), client.ObjectKey{Name: "n1"}, &s); err != nil {
			got = "gone"
		}
		for i := range s.Status.Stores {
			got += s.Status.Stores[i].Namespace
		}
		if got != c.want {
			t.Errorf("%s: %s is left, want %s", name, got, c.want)
		}
	}
}
