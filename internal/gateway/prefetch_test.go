// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/gateway/identity"
)

// nextRevision is a revision that is to be prefetched.
func nextRevision(owner *v1alpha1.DataSet, namespace string) *appsv1.ControllerRevision {
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{Name: "models-next", Namespace: namespace, Labels: map[string]string{v1alpha1.LabelDataSet: owner.Name},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, v1alpha1.GroupVersion.WithKind("DataSet"))}},
		Data: runtime.RawExtension{Raw: []byte(`{"dataItems":[{"namespace":"default","name":"m","remotePath":"m",` +
			`"localPath":"m","version":"v2",` +
			`"dataSourceType":"http","lifecycle":{"postDownload":{"exec":{"command":["rm"]}}}}],"dataSources":{"http":{"url":"http://h/next"}}}`)},
	}
}

func TestOnlyRevisionsOfTheOwnDataSetArePrefetched(t *testing.T) {
	set := func(name, uid string) *v1alpha1.DataSet {
		return &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID(uid)}}
	}
	own, other := set("models", "1"), set("others", "2")
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u"}}
	broken := nextRevision(own, "shop")
	broken.Data.Raw = []byte(`{"dataItems": 7}`)
	orphan := nextRevision(own, "shop")
	orphan.OwnerReferences = nil
	earlier := nextRevision(&v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", UID: "deleted"}}, "shop")
	for name, c := range map[string]struct {
		cached, live []client.Object
		spec         v1alpha1.DataSpec
		want, logs   bool
	}{
		"its own": {[]client.Object{own, nextRevision(own, "shop")}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, true, false},
		"not in the cache yet": {[]client.Object{own}, []client.Object{nextRevision(own, "shop")},
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, true, false},
		"nothing asked for": {[]client.Object{own, nextRevision(own, "shop")}, nil, v1alpha1.DataSpec{Revision: "r"}, false, false},
		"what it has": {[]client.Object{own, nextRevision(own, "shop")}, nil,
			v1alpha1.DataSpec{Revision: "models-next", PrefetchRevision: "models-next"}, false, false},
		"withdrawn": {[]client.Object{own, nextRevision(own, "shop")}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next", Withdraw: true}, false, false},
		"gone": {[]client.Object{own}, nil, v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
		"another DataSet's": {[]client.Object{own, nextRevision(other, "shop")}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
		"an earlier DataSet's": {[]client.Object{own, earlier}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
		"without an owner": {[]client.Object{own, orphan}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
		"of another namespace": {[]client.Object{own, nextRevision(own, "elsewhere")}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
		"unreadable": {[]client.Object{own, broken}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
		"the DataSet itself is gone": {[]client.Object{nextRevision(own, "shop")}, nil,
			v1alpha1.DataSpec{Revision: "r", PrefetchRevision: "models-next"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			logs := 0
			log := funcr.New(func(_, args string) {
				if !strings.Contains(args, "models-next") {
					t.Errorf("log: %s", args)
				}
				logs++
			}, funcr.Options{})
			cached := append([]client.Object{p.DeepCopy(), assignment.New(own, p, c.spec)}, c.cached...)
			want := newDesires(&service{paces: newPaces(), cached: newReader(t, cached...), live: newReader(t, c.live...),
				bundle: func() []byte { return nil }, log: log},
				identity.Pod{Namespace: "shop", Name: "web-0", UID: "u"}, nil)
			for range 3 {
				got, err := want.readDesired(t.Context())
				if err != nil || len(got.GetAssignments()) != 1 {
					t.Fatalf("%v, %v", got, err)
				}
				prefetch := got.GetAssignments()[0].GetPrefetch()
				if (prefetch != nil) != c.want {
					t.Fatalf("prefetch: %v", prefetch)
				}
				if c.want && (prefetch.GetRevision() != "models-next" || prefetch.GetItems()[0].GetVersion() != "v2" ||
					prefetch.GetSources()[0].GetHttp().GetUrl() != "http://h/next") {
					t.Errorf("prefetch: %v", prefetch)
				}
			}
			if (logs == 1) != c.logs || logs > 1 {
				t.Errorf("%d lines were logged", logs)
			}
		})
	}
}
