// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package placement

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/convert"
	"github.com/kuda-io/kuda/internal/domain/item"
	"github.com/kuda-io/kuda/internal/placement/index"
)

func dataSet(name, version string, change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u", Generation: 2},
		Spec: v1alpha1.DataSetSpec{Template: v1alpha1.DataTemplateSpec{
			DataItems: []v1alpha1.DataItem{
				{Namespace: "default", Name: "weights", RemotePath: "w", LocalPath: "weights", Version: version,
					DataSourceType: v1alpha1.DataSourceMinIO},
				{Namespace: "default", Name: "vocab", RemotePath: "v", LocalPath: "vocab", Version: version, DataSourceType: v1alpha1.DataSourceMinIO},
			},
			DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "https://minio:9000", Bucket: "models"}},
		}},
		Status: v1alpha1.DataSetStatus{ObservedGeneration: 2, CurrentRevision: "r1", UpdateRevision: "r2"},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func onDelete(d *v1alpha1.DataSet) { d.Spec.UpdateStrategy.Type = v1alpha1.OnDeleteStrategyType }

func rollout(phase v1alpha1.RolloutPhase) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Status.Rollout = &v1alpha1.RolloutStatus{Revision: "r2", Phase: phase} }
}

func revisionOf(t *testing.T, name string, d *v1alpha1.DataSet) *appsv1.ControllerRevision {
	t.Helper()
	raw, err := json.Marshal(d.Spec.Template)
	if err != nil {
		t.Fatal(err)
	}
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: runtime.RawExtension{Raw: raw}}
}

// counting counts what is read, and can fail.
type counting struct {
	client.Reader
	reads int
	err   error
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
	c.reads++
	if c.err != nil {
		return c.err
	}
	return c.Reader.Get(ctx, key, object, opts...)
}

func reader(t *testing.T, objects ...client.Object) *counting {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return &counting{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()}
}

func TestTheRevisionThatNewPodsGetIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		change []func(*v1alpha1.DataSet)
		want   string
	}{
		"a rollout":            {nil, "r1"},
		"a new DataSet":        {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Status = v1alpha1.DataSetStatus{} }}, ""},
		"settled":              {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Status.CurrentRevision = "r2" }}, ""},
		"edited just now":      {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Status.CurrentRevision, d.Generation = "r2", 3 }}, "r2"},
		"OnDelete":             {[]func(*v1alpha1.DataSet){onDelete, rollout(v1alpha1.RolloutProgressing)}, ""},
		"OnDelete, paused":     {[]func(*v1alpha1.DataSet){onDelete, func(d *v1alpha1.DataSet) { d.Spec.Paused = true }}, "r1"},
		"OnDelete, taken back": {[]func(*v1alpha1.DataSet){onDelete, rollout(v1alpha1.RolloutRolledBack)}, "r1"},
		"OnDelete, the edit after one that was taken back": {[]func(*v1alpha1.DataSet){
			onDelete, rollout(v1alpha1.RolloutRolledBack), func(d *v1alpha1.DataSet) { d.Generation = 3 },
		}, ""},
		"rolled back": {[]func(*v1alpha1.DataSet){rollout(v1alpha1.RolloutRolledBack)}, "r1"},
	} {
		if got := Revision(dataSet("model", "2", c.change...)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAPodWantsTheItemsOfTheRevisionItGets(t *testing.T) {
	old := dataSet("model", "1")
	ignored := dataSet("logs", "1", func(d *v1alpha1.DataSet) { d.Spec.Placement = v1alpha1.PlacementIgnore })
	required := dataSet("index", "3", func(d *v1alpha1.DataSet) {
		d.Spec.Placement, d.Spec.Template.DataItems, d.Status = v1alpha1.PlacementRequire, d.Spec.Template.DataItems[:1], v1alpha1.DataSetStatus{}
	})
	r := reader(t, revisionOf(t, "r1", old))
	dataSets := []*v1alpha1.DataSet{ignored, required, dataSet("model", "2")}
	oldMarks := Marks(old.Spec.Template)
	want := []index.Want{
		{Mark: Marks(required.Spec.Template)[0], DataSet: "index", Item: "default/weights", Version: "3", Required: true},
		{Mark: oldMarks[0], DataSet: "model", Item: "default/weights", Version: "1"},
		{Mark: oldMarks[1], DataSet: "model", Item: "default/vocab", Version: "1"},
	}
	got, err := Of(t.Context(), r, dataSets)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got %v (-want +got)\n%s", err, diff)
	}
	memo := &Memo{Reader: r}
	for range 2 {
		if got, err = memo.Of(t.Context(), dataSets); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("remembered: got %v (-want +got)\n%s", err, cmp.Diff(want, got))
		}
	}
	if r.reads != 2 {
		t.Errorf("%d reads; want one by Of and one by the memo", r.reads)
	}
}

// TestMarksEqualThoseOfTheRuntime holds the control plane's marks against those of the
// messages that runtimes get.
func TestMarksEqualThoseOfTheRuntime(t *testing.T) {
	d := dataSet("model", "1", func(d *v1alpha1.DataSet) {
		d.Spec.Template.DataItems[1].Mode, d.Spec.Template.DataItems[1].Include = new(int32(0o444)), []string{"*.txt"}
		d.Spec.Template.DataItems[1].DataSourceType = v1alpha1.DataSourceHTTP // is not described
	})
	template := d.Spec.Template
	a := convert.Assignment(&v1alpha1.Data{Spec: v1alpha1.DataSpec{DataItems: template.DataItems, DataSources: template.DataSources}})
	for i, mark := range Marks(template) {
		wanted := a.GetItems()[i]
		if got := item.Mark(wanted, convert.SourceOf(wanted, a.GetSources())); got != mark || !item.Valid(mark) {
			t.Errorf("%s: the runtime says %s, the control plane %s", wanted.GetName(), got, mark)
		}
	}
}

func TestOnlyAMissingRevisionIsReplacedByTheTemplate(t *testing.T) {
	d := dataSet("model", "2")
	gone := reader(t)
	memo := &Memo{Reader: gone}
	for range 2 {
		got, err := memo.Of(t.Context(), []*v1alpha1.DataSet{d})
		if err != nil || len(got) != 2 || got[0].Version != "2" {
			t.Errorf("a revision that is gone: got %v, %v", got, err)
		}
	}
	if gone.reads != 2 {
		t.Error("the revision is not looked for again")
	}
	gone.err = errors.New("no rights")
	if _, err := memo.Of(t.Context(), []*v1alpha1.DataSet{d}); !errors.Is(err, gone.err) {
		t.Errorf("got %v", err)
	}
	broken := revisionOf(t, "r1", d)
	broken.Data.Raw = []byte("1")
	if _, err := Of(t.Context(), reader(t, broken), []*v1alpha1.DataSet{d}); err == nil {
		t.Error("a revision that does not parse is taken")
	}
}

func TestAnEditReplacesWhatIsRemembered(t *testing.T) {
	r := reader(t, revisionOf(t, "r1", dataSet("model", "1")))
	memo := &Memo{Reader: r}
	version := func(d *v1alpha1.DataSet) string {
		t.Helper()
		wants, err := memo.Of(t.Context(), []*v1alpha1.DataSet{d})
		if err != nil {
			t.Fatal(err)
		}
		if wants[0].Required {
			return "required " + wants[0].Version
		}
		return wants[0].Version
	}
	settled := func(d *v1alpha1.DataSet) { d.Status.CurrentRevision = "r2" }
	for i, c := range []struct {
		d    *v1alpha1.DataSet
		want string
	}{
		{dataSet("model", "2"), "1"},
		{dataSet("model", "2", settled), "2"},
		{dataSet("model", "3", settled, func(d *v1alpha1.DataSet) { d.Generation, d.Status.ObservedGeneration = 3, 3 }), "3"},
		{dataSet("model", "4", settled, func(d *v1alpha1.DataSet) { d.UID = "v" }), "4"},
		{dataSet("model", "4", settled, func(d *v1alpha1.DataSet) {
			d.UID, d.Generation, d.Status.ObservedGeneration, d.Spec.Placement = "v", 3, 3, v1alpha1.PlacementRequire
		}), "required 4"},
	} {
		if got := version(c.d); got != c.want {
			t.Errorf("%d: got %s, want %s", i, got, c.want)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	d := dataSet("model", "2", func(d *v1alpha1.DataSet) { d.Status.CurrentRevision = "r2" })
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			if _, err := Of(b.Context(), nil, []*v1alpha1.DataSet{d}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		memo := &Memo{}
		for b.Loop() {
			if _, err := memo.Of(b.Context(), []*v1alpha1.DataSet{d}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
