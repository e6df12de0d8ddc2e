// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// readerOf has these namespaces, and the DataSets of namespace shop.
func readerOf(t *testing.T, fails error, namespaces map[string]string) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	var objects []client.Object
	for name, uid := range namespaces {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
		objects = append(objects, n)
	}
	preheats := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "preheats"}}
	preheats.Spec.Preheat = &v1alpha1.Preheat{}
	objects = append(objects, preheats, &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other"}})
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if fails != nil {
				return fails
			}
			return c.Get(ctx, key, o, options...)
		},
	}).Build()
}

func TestOnlyWhatTheAPIServerSaysIsGone(t *testing.T) {
	stale := map[string]string{"shop": "u1"}
	for name, c := range map[string]struct {
		cached, live map[string]string
		fails        error
		want         []directory
	}{
		"there": {cached: stale, live: stale},
		"gone":  {live: map[string]string{}, want: []directory{{"shop", "u1"}}},
		"made again under its name": {cached: map[string]string{"shop": "u2"}, live: map[string]string{"shop": "u2"},
			want: []directory{{"shop", "u1"}}},
		"too new for the cache":                {live: stale},
		"the cache is of the namespace before": {cached: map[string]string{"shop": "u0"}, live: stale},
		"the API server cannot be asked":       {fails: errors.New("unavailable")},
	} {
		t.Run(name, func(t *testing.T) {
			n := &nodeState{cached: readerOf(t, nil, c.cached), live: readerOf(t, c.fails, c.live), bundle: func() []byte { return []byte("ca") },
				directories: []directory{{"shop", "u1"}}, gone: map[directory]bool{}}
			m, err := n.read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []directory
			for _, d := range m.GetGone() {
				got = append(got, directory{d.GetNamespace(), d.GetUid()})
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(directory{})); diff != "" {
				t.Errorf("gone (-want +got):\n%s", diff)
			}
			if string(m.GetCaBundle()) != "ca" {
				t.Error("the certificates are not announced")
			}
			if len(c.cached) > 0 && c.cached["shop"] == "u1" {
				if got := m.GetPreheats(); len(got) != 1 || len(got[0].GetPreheats().GetDatasets()) != 1 {
					t.Errorf("preheats %v", got)
				}
			}
		})
	}
}
