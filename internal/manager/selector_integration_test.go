// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

// selectors waits until the revisions of a DataSet, by the version of their data,
// are for these pods.
func selectors(t *testing.T, d *v1alpha1.DataSet, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last seen (-want +got):\n%s", cmp.Diff(want, got))
		}
	})
	managertest.Eventually(t, "the revisions know their pods", func(ctx context.Context) (bool, error) {
		var list appsv1.ControllerRevisionList
		if err := cluster.Client.List(ctx, &list, client.InNamespace(d.Namespace),
			client.MatchingLabels{v1alpha1.LabelDataSet: d.Name}); err != nil {
			return false, err
		}
		clear(got)
		for i := range list.Items {
			template, err := revision.Template(&list.Items[i])
			if err != nil {
				return false, err
			}
			got[template.DataItems[0].Version] = list.Items[i].Annotations[revision.AnnotationSelector]
		}
		return cmp.Equal(want, got), nil
	})
}

// TestARevisionIsForThePodsThatItsDataSetSelected: an author must not get a hook or
// a credential into other pods by changing the selector and undoing.
func TestARevisionIsForThePodsThatItsDataSetSelected(t *testing.T) {
	const web, db = `{"app":"web"}`, `{"app":"db"}`
	cluster.StartManager(t)
	d := cluster.DataSet(t, cluster.Namespace(t), "one", "web")
	selectors(t, d, map[string]string{"v1": web})
	managertest.Edit(t, cluster, d, version("v2"))
	selectors(t, d, map[string]string{"v1": web, "v2": web})
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.WorkloadSelector = map[string]string{"app": "db"} })
	selectors(t, d, map[string]string{"v1": web, "v2": db})
	managertest.Edit(t, cluster, d, version("v1"))
	selectors(t, d, map[string]string{"v1": db, "v2": db})
}

func TestRevisionsOfAnOlderReleaseAreForThePodsThatAreSelectedNow(t *testing.T) {
	d := cluster.DataSet(t, cluster.Namespace(t), "one", "web")
	r, err := revision.New(d, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	old := d.DeepCopy()
	version("v0")(old)
	older, err := revision.New(old, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*appsv1.ControllerRevision{r, older} {
		delete(r.Annotations, revision.AnnotationSelector)
		owner := metav1.NewControllerRef(d, v1alpha1.GroupVersion.WithKind("DataSet"))
		owner.BlockOwnerDeletion = new(false)
		r.OwnerReferences = []metav1.OwnerReference{*owner}
		if err := cluster.Client.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	cluster.StartManager(t)
	selectors(t, d, map[string]string{"v1": `{"app":"web"}`, "v0": `{"app":"web"}`})
}
