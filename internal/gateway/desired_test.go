// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"slices"
	"testing"

	"connectrpc.com/connect"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func newReader(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	for _, i := range fieldindex.Indexes() {
		builder = builder.WithIndex(i.Object, i.Field, i.Values)
	}
	return builder.Build()
}

func TestAStartGateStaysClosedWhileACacheIsBehind(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u", Labels: map[string]string{"app": "web"}}}
	selects := func(value string) *v1alpha1.DataSet {
		return &v1alpha1.DataSet{
			ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"},
			Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": value}},
		}
	}
	mine := assignment.New(selects("web"), p, v1alpha1.DataSpec{Revision: "r"})
	foreign := assignment.New(selects("web"), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", UID: "v"}}, v1alpha1.DataSpec{})
	for name, c := range map[string]struct {
		cached, live      []client.Object
		gone, assignments int
	}{
		"new DataSet not in the cache":  {[]client.Object{p.DeepCopy()}, []client.Object{p.DeepCopy(), selects("web")}, 0, 0},
		"new selector not in the cache": {[]client.Object{p.DeepCopy(), selects("db")}, []client.Object{p.DeepCopy(), selects("web")}, 0, 0},
		"its Data is only late":         {[]client.Object{p.DeepCopy(), selects("web")}, []client.Object{p.DeepCopy(), selects("web")}, 0, 0},
		"the pod is not in the cache":   {[]client.Object{selects("web")}, []client.Object{p.DeepCopy(), selects("web")}, 0, 0},
		"really gone":                   {[]client.Object{p.DeepCopy()}, []client.Object{p.DeepCopy()}, 1, 0},
		"really no longer selected":     {[]client.Object{p.DeepCopy(), selects("db")}, []client.Object{p.DeepCopy(), selects("db")}, 1, 0},
		"assigned":                      {[]client.Object{p.DeepCopy(), mine.DeepCopy(), foreign.DeepCopy()}, nil, 0, 1},
	} {
		want := newDesires(&service{paces: newPaces(), cached: newReader(t, c.cached...), live: newReader(t, c.live...),
			bundle: func() []byte { return nil }},
			identity.Pod{Namespace: "shop", Name: "web-0", UID: "u"}, []string{"models", "models"})
		for range 2 {
			got, err := want.readDesired(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(got.GetGone()) != c.gone || len(got.GetAssignments()) != c.assignments {
				t.Errorf("%s: %v", name, got)
			}
			if slices.ContainsFunc(got.GetAssignments(), func(a *gatewayv1alpha1.Assignment) bool { return a.GetData() == foreign.Name }) {
				t.Errorf("%s: another pod's Data is streamed", name)
			}
		}
	}
}

func TestAPodReportsOnItsDataWhileTheCacheHasAnEarlierPodsOfTheName(t *testing.T) {
	set := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"}}
	dataOf := func(uid types.UID) *v1alpha1.Data {
		return assignment.New(set, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", UID: uid}}, v1alpha1.DataSpec{})
	}
	s := &service{paces: newPaces(), cached: newReader(t, dataOf("dead")), live: newReader(t, dataOf("u"))}
	caller := identity.Pod{Namespace: "shop", Name: "web-0", UID: "u"}
	d, err := s.readData(t.Context(), caller, "models-web-0", false)
	if err != nil || assignment.PodUID(d) != "u" {
		t.Errorf("got %v, %v", d, err)
	}
	caller.UID = "third"
	if _, err := s.readData(t.Context(), caller, "models-web-0", false); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("another pod's Data: %v", err)
	}
}

func TestBothPodsAreWokenWhenADataTakesTheNameOfAnother(t *testing.T) {
	set := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop"}}
	dataOf := func(uid types.UID) *v1alpha1.Data {
		d := assignment.New(set, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", UID: uid}}, v1alpha1.DataSpec{})
		d.UID = "data-of-" + uid
		return d
	}
	var woken []types.UID
	handler := onChange(dataDiffers, func(d *v1alpha1.Data) { woken = append(woken, assignment.PodUID(d)) })
	handler.OnUpdate(dataOf("a"), dataOf("a"))
	handler.OnUpdate(dataOf("a"), dataOf("b"))
	if !slices.Equal(woken, []types.UID{"a", "b"}) {
		t.Errorf("woken: %v", woken)
	}
}

func TestHooksAreRateLimitedPerPod(t *testing.T) {
	l := newPaces()
	allowed := 0
	for range 1000 {
		if l.allowHook("greedy") {
			allowed++
		}
	}
	if allowed > 30 || !l.allowHook("modest") || !l.allowReport("greedy") {
		t.Errorf("%d hooks of one pod were allowed", allowed)
	}
}

// Every pod gets the DataSets in one order, whatever their names are.
func TestAssignmentsComeInTheOrderOfCreation(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	objects := []client.Object{p}
	for name, created := range map[string]int64{"zz": 100, "mm": 200, "bb": 200, "aa": 300, "unknown": 0} {
		set := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", CreationTimestamp: metav1.Unix(created, 0)}}
		if created > 0 {
			objects = append(objects, set)
		}
		objects = append(objects, assignment.New(set, p, v1alpha1.DataSpec{Revision: "r"}))
	}
	w := newDesires(&service{paces: newPaces(), cached: newReader(t, objects...), live: newReader(t), bundle: func() []byte { return nil }},
		identity.Pod{Namespace: "shop", Name: "web-0", UID: "u"}, nil)
	got, err := w.readDesired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, a := range got.GetAssignments() {
		order = append(order, a.GetDataset())
	}
	if want := []string{"zz", "bb", "mm", "aa", "unknown"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}
