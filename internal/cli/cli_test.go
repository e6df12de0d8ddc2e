// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/domain/revision"
)

var now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// fixture is a cluster and what commands print.
type fixture struct{ *clitest.World }

func cluster(_ *testing.T, hooks interceptor.Funcs, objects ...client.Object) *fixture {
	return &fixture{clitest.New(now, hooks, objects...)}
}

// run runs a command in the namespace shop.
func (x *fixture) run(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	f, p := x.Frame()
	code = cli.Run(t.Context(), f, append([]string{"/usr/local/bin/kubectl-kuda", "-n", "shop"}, args...))
	return p.Out.String(), p.ErrOut.String(), code
}

func (x *fixture) dataset(t *testing.T) *v1alpha1.DataSet {
	t.Helper()
	var d v1alpha1.DataSet
	if err := x.Client.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "models"}, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

func template(version string) v1alpha1.DataTemplateSpec {
	return v1alpha1.DataTemplateSpec{
		DataItems: []v1alpha1.DataItem{{
			Name: "weights", Namespace: "default", RemotePath: "w", LocalPath: "w", Version: version, DataSourceType: v1alpha1.DataSourceMinIO,
		}},
		DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "models"}},
	}
}

// rollout is a DataSet with three revisions, the last of which is rolled out.
func rollout(t *testing.T, change ...func(*v1alpha1.DataSet)) []client.Object {
	t.Helper()
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{
		Name: "models", Namespace: "shop", UID: "1", Generation: 3, CreationTimestamp: metav1.NewTime(now.Add(-48 * time.Hour)),
	}}
	objects := []client.Object{d}
	var names []string
	controller := true
	for i, version := range []string{"v1", "v2", "v3"} {
		d.Spec.Template = template(version)
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationChangeCause, "weights "+version)
		r, err := revision.New(d, int64(i+1), 0)
		if err != nil {
			t.Fatal(err)
		}
		r.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DataSet", Name: d.Name, UID: d.UID,
			Controller: &controller}}
		r.CreationTimestamp = metav1.NewTime(now.Add(time.Duration(i-3) * time.Hour))
		if i < 2 {
			metav1.SetMetaDataAnnotation(&r.ObjectMeta, revision.AnnotationReached, revision.ReachedDelivered)
		}
		objects, names = append(objects, r), append(names, r.Name)
	}
	started, ended := metav1.NewTime(now.Add(-2*time.Hour)), metav1.NewTime(now.Add(-2*time.Hour+3*time.Minute))
	running := metav1.NewTime(now.Add(-time.Minute))
	d.Spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}, {Pause: &v1alpha1.PauseStep{}}}
	d.Status = v1alpha1.DataSetStatus{
		ObservedGeneration: 3, CurrentRevision: names[1], UpdateRevision: names[2], Replicas: 4, UpdatedReplicas: 1, Ready: "4/4",
		Rollout: &v1alpha1.RolloutStatus{Revision: names[2], Phase: v1alpha1.RolloutProgressing},
		History: []v1alpha1.RolloutRecord{
			{Revision: names[1], Number: 2, Outcome: v1alpha1.OutcomeSucceeded, StartTime: &started, EndTime: &ended, By: "kubectl",
				ChangedBy: new("alice"), ChangeCause: "weights v2", Pods: new(int32(4)), FailedPods: new(int32(1)), Bytes: new(int64(3 << 20)),
				EndedStep: new(int32(2))},
			{Revision: names[2], Number: 3, Outcome: v1alpha1.OutcomeRunning, StartTime: &running, By: "kubectl-patch", ChangeCause: "weights v3"},
		},
	}
	for _, c := range change {
		c(d)
	}
	return objects
}

func phase(p v1alpha1.RolloutPhase) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Status.Rollout.Phase = p }
}

func TestUndoSetsTheTemplateBackAndItsCauseWithIt(t *testing.T) {
	for name, test := range map[string]struct {
		args    []string
		change  []func(*v1alpha1.DataSet)
		version string
		says    string
	}{
		"to the stable revision": {nil, nil, "v2", "template set back to that of revision 2\n  item default/weights: version v3 → v2\n"},
		"to a number":            {[]string{"--to-revision", "1"}, nil, "v1", "revision 1\n"},
		"of a complete rollout to the one before": {nil, []func(*v1alpha1.DataSet){phase(v1alpha1.RolloutCompleted), func(d *v1alpha1.DataSet) {
			d.Status.CurrentRevision = d.Status.UpdateRevision
			d.Status.History[1].Outcome = v1alpha1.OutcomeSucceeded
		}}, "v2", "revision 2\n"},
		"while paused": {nil, []func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Spec.Paused = true }}, "v2",
			"no pod is moved before kubectl kuda resume models"},
	} {
		t.Run(name, func(t *testing.T) {
			x := cluster(t, interceptor.Funcs{}, rollout(t, test.change...)...)
			out, errOut, code := x.run(t, append([]string{"undo", "models"}, test.args...)...)
			if code != 0 || !strings.Contains(out, test.says) {
				t.Errorf("exit code %d, printed:\n%s%s", code, out, errOut)
			}
			d := x.dataset(t)
			if diff := cmp.Diff(template(test.version), d.Spec.Template); diff != "" {
				t.Errorf("template (-want +got):\n%s", diff)
			}
			if cause := d.Annotations[v1alpha1.AnnotationChangeCause]; cause != "weights "+test.version {
				t.Errorf("change cause %q", cause)
			}
		})
	}
}

func TestUndoThatMakesNoSenseChangesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		change func(*v1alpha1.DataSet)
		want   string
	}{
		"a number that is gone":  {[]string{"--to-revision", "9"}, nil, "has no revision 9 (any more); there are 1, 2, 3"},
		"the present one":        {[]string{"--to-revision", "3"}, nil, "is that of revision 3 already"},
		"a dry run of some kind": {[]string{"--dry-run=maybe"}, nil, "--dry-run: must be none, client or server"},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*v1alpha1.DataSet)
			if test.change != nil {
				change = append(change, test.change)
			}
			x := cluster(t, interceptor.Funcs{}, rollout(t, change...)...)
			before := x.dataset(t).ResourceVersion
			_, errOut, code := x.run(t, append([]string{"undo", "models"}, test.args...)...)
			if code != frame.ExitError || !strings.Contains(errOut, test.want) || strings.Count(errOut, "\n") != 1 {
				t.Errorf("exit code %d, printed %q", code, errOut)
			}
			if x.dataset(t).ResourceVersion != before {
				t.Error("the DataSet was changed")
			}
		})
	}
}

func TestUndoGoesBackOnlyToARevisionThatSucceeded(t *testing.T) {
	complete := func(d *v1alpha1.DataSet) {
		d.Status.CurrentRevision, d.Status.Rollout.Phase = d.Status.UpdateRevision, v1alpha1.RolloutCompleted
	}
	for name, test := range map[string]struct {
		// reached are the numbers of the revisions that a pod had.
		reached []int64
		change  func(*v1alpha1.DataSet)
		version string
	}{
		"the stable one":            {[]int64{1, 2}, func(*v1alpha1.DataSet) {}, "v2"},
		"no pod had the stable one": {[]int64{1}, func(*v1alpha1.DataSet) {}, "v1"},
		"the one before was rolled back": {[]int64{1, 2}, func(d *v1alpha1.DataSet) {
			complete(d)
			d.Status.History[0].Outcome = v1alpha1.OutcomeRolledBack
		}, "v1"},
		"nothing is remembered": {[]int64{1, 2}, func(d *v1alpha1.DataSet) {
			complete(d)
			d.Status.History = nil
		}, "v2"},
		"no pod ever had one": {nil, func(*v1alpha1.DataSet) {}, ""},
		"all were stopped":    {[]int64{2}, func(d *v1alpha1.DataSet) { d.Status.History[0].Outcome = v1alpha1.OutcomeStopped }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			objects := rollout(t, test.change)
			for _, o := range objects[1:] {
				if r := o.(*appsv1.ControllerRevision); !slices.Contains(test.reached, r.Revision) {
					delete(r.Annotations, revision.AnnotationReached)
				}
			}
			x := cluster(t, interceptor.Funcs{}, objects...)
			out, errOut, code := x.run(t, "undo", "models")
			wantCode, want := frame.ExitDone, test.version
			if want == "" {
				wantCode, want = frame.ExitNegative, "v3"
			}
			if got := x.dataset(t).Spec.Template.DataItems[0].Version; code != wantCode || got != want ||
				code != 0 && !strings.HasPrefix(errOut, "error: there is nothing to go back to") {
				t.Errorf("exit code %d, version %s, want %d, %s; printed:\n%s%s", code, got, wantCode, want, out, errOut)
			}
		})
	}
}

func TestUndoWarnsOfARevisionThatNoPodHad(t *testing.T) {
	objects := rollout(t)
	delete(objects[1].GetAnnotations(), revision.AnnotationReached)
	x := cluster(t, interceptor.Funcs{}, objects...)
	if _, errOut, code := x.run(t, "undo", "models", "--to-revision", "1"); code != 0 ||
		!strings.Contains(errOut, "warning: revision 1 has not succeeded") {
		t.Errorf("exit code %d, printed %q", code, errOut)
	}
}

func TestDryRunsChangeNothing(t *testing.T) {
	for _, kind := range []string{"client", "server"} {
		x := cluster(t, interceptor.Funcs{}, rollout(t)...)
		out, errOut, code := x.run(t, "undo", "models", "--dry-run="+kind, "-o", "json")
		var d v1alpha1.DataSet
		if err := json.Unmarshal([]byte(out), &d); err != nil || code != 0 {
			t.Fatalf("%s: exit code %d, %v, %s", kind, code, err, errOut)
		}
		// The fake server answers nothing to a dry run; the real one is asked by
		// the integration test.
		if v := d.Spec.Template.DataItems[0].Version; d.Kind != "DataSet" || kind == "client" && v != "v2" {
			t.Errorf("%s: prints a %s with version %s", kind, d.Kind, v)
		}
		if v := x.dataset(t).Spec.Template.DataItems[0].Version; v != "v3" {
			t.Errorf("%s: the DataSet has version %s now", kind, v)
		}
	}
}

func TestUndoIsRefusedAfterAConcurrentEdit(t *testing.T) {
	faster := interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch,
		opts ...client.PatchOption) error {
		var d v1alpha1.DataSet
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), &d); err != nil {
			return err
		}
		d.Spec.Template = template("v4")
		if err := c.Update(ctx, &d); err != nil {
			return err
		}
		return c.Patch(ctx, o, p, opts...)
	}}
	x := cluster(t, faster, rollout(t)...)
	_, errOut, code := x.run(t, "undo", "models")
	if code != frame.ExitError || !strings.Contains(errOut, "look at it and try again") {
		t.Errorf("exit code %d, printed %q", code, errOut)
	}
	if v := x.dataset(t).Spec.Template.DataItems[0].Version; v != "v4" {
		t.Errorf("the faster edit was overwritten by %s", v)
	}
}

func TestUndoWarnsOfToolsThatKeepTheTemplate(t *testing.T) {
	kept := func(manager, fields string) func(*v1alpha1.DataSet) {
		return func(d *v1alpha1.DataSet) {
			d.ManagedFields = []metav1.ManagedFieldsEntry{{
				Manager: manager, Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1", APIVersion: v1alpha1.GroupVersion.String(),
				FieldsV1: metav1.NewFieldsV1(fields),
			}}
		}
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.DataSet)
		want   string
	}{
		"Argo CD":            {kept("argocd-controller", `{"f:spec":{"f:template":{"f:dataItems":{}}}}`), "warning: Argo CD keeps this template"},
		"Flux":               {kept("kustomize-controller", `{"f:spec":{"f:template":{}}}`), "warning: Flux keeps"},
		"not the template":   {kept("argocd-controller", `{"f:spec":{"f:paused":{}}}`), ""},
		"a person's kubectl": {kept("kubectl", `{"f:spec":{"f:template":{}}}`), ""},
	} {
		x := cluster(t, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object,
			opts ...client.GetOption) error {
			err := c.Get(ctx, key, o, opts...)
			if d, ok := o.(*v1alpha1.DataSet); ok && err == nil {
				test.change(d)
			}
			return err
		}}, rollout(t)...)
		_, errOut, code := x.run(t, "undo", "models", "--dry-run=client")
		if code != 0 || !strings.HasPrefix(errOut, test.want) || test.want == "" && errOut != "" {
			t.Errorf("%s: exit code %d, printed %q", name, code, errOut)
		}
	}
}

// manager honours requests as the real one does: it writes down what it read.
func manager(do func(*v1alpha1.DataSet)) interceptor.Funcs {
	return interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch,
		opts ...client.PatchOption) error {
		if err := c.Patch(ctx, o, p, opts...); err != nil {
			return err
		}
		d := o.DeepCopyObject().(*v1alpha1.DataSet)
		do(d)
		return c.Status().Update(ctx, d)
	}}
}

func honour(change ...func(*v1alpha1.DataSet)) interceptor.Funcs {
	return manager(func(d *v1alpha1.DataSet) {
		d.Status.Rollout.Request = d.Annotations[v1alpha1.AnnotationRolloutRequest]
		for _, c := range change {
			c(d)
		}
	})
}

func TestRequestsAreAskedOnceAboutThePresentRevisionAndAwaited(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		before []func(*v1alpha1.DataSet)
		after  func(*v1alpha1.DataSet)
		verb   string
		says   string
	}{
		"promote": {[]string{"promote", "models"}, nil, func(d *v1alpha1.DataSet) { d.Status.Rollout.Step = 1 }, v1alpha1.RequestPromote,
			"dataset/models promoted to step 2 of 2\n"},
		"promote full": {[]string{"promote", "--full", "models"}, nil, func(d *v1alpha1.DataSet) { d.Status.Rollout.Step = 2 },
			v1alpha1.RequestPromoteFull, "dataset/models promoted; no step is left\n"},
		"abort": {[]string{"abort", "models"}, nil, phase(v1alpha1.RolloutRollingBack), v1alpha1.RequestAbort,
			"aborted; its pods go back to revision models-"},
		"abort stopped": {[]string{"abort", "models"}, []func(*v1alpha1.DataSet){phase(v1alpha1.RolloutStopped)},
			phase(v1alpha1.RolloutRolledBack),
			v1alpha1.RequestAbort, "aborted; its pods are back on revision models-"},
		"retry on the way back": {[]string{"retry", "models"}, []func(*v1alpha1.DataSet){phase(v1alpha1.RolloutRollingBack)},
			phase(v1alpha1.RolloutProgressing),
			v1alpha1.RequestRetry, "is tried again with revision models-"},
		"retry": {[]string{"retry", "models"}, []func(*v1alpha1.DataSet){phase(v1alpha1.RolloutRolledBack)}, phase(v1alpha1.RolloutProgressing),
			v1alpha1.RequestRetry, "is tried again with revision models-"},
	} {
		t.Run(name, func(t *testing.T) {
			x := cluster(t, honour(test.after), rollout(t, test.before...)...)
			out, errOut, code := x.run(t, test.args...)
			if code != 0 || !strings.Contains(out, test.says) {
				t.Errorf("exit code %d, printed %q, %q", code, out, errOut)
			}
			d := x.dataset(t)
			words := strings.Fields(d.Annotations[v1alpha1.AnnotationRolloutRequest])
			if len(words) != 3 || words[0] != test.verb || words[1] != d.Status.UpdateRevision {
				t.Errorf("asked %q", words)
			}
		})
	}
}

// failedData is of a pod in which so many items failed.
func failedData(name, revision string, items int, change ...func(*v1alpha1.Data)) *v1alpha1.Data {
	d := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{v1alpha1.LabelDataSet: "models"}},
		Spec:       v1alpha1.DataSpec{Revision: revision},
		Status:     v1alpha1.DataStatus{ObservedRevision: revision},
	}
	for i := range items {
		d.Status.DataItemsStatus = append(d.Status.DataItemsStatus, v1alpha1.DataItemStatus{Name: fmt.Sprint("m", i), Namespace: "default",
			Phase: v1alpha1.DataFailed})
	}
	for _, f := range change {
		f(d)
	}
	return d
}

func TestRetrySaysWhatIsTriedNow(t *testing.T) {
	ahead := func(d *v1alpha1.Data) {
		d.Spec.PrefetchRevision = "r2"
		d.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: "r2", Phase: v1alpha1.DataFailed}
	}
	preheats := func(d *v1alpha1.DataSet) { d.Status.Preheat = &v1alpha1.PreheatStatus{Failed: 2} }
	for name, test := range map[string]struct {
		datas  []client.Object
		change func(*v1alpha1.DataSet)
		says   string
	}{
		"one item of one pod": {[]client.Object{failedData("x", "r1", 1)}, phase(v1alpha1.RolloutCompleted), "1 pod tries 1 failed item now"},
		"items of pods": {[]client.Object{failedData("x", "r1", 2), failedData("y", "r1", 1), failedData("z", "r1", 0)},
			phase(v1alpha1.RolloutProgressing), "2 pods try 3 failed items now"},
		"downloads ahead": {[]client.Object{failedData("x", "r1", 0, ahead)}, phase(v1alpha1.RolloutPrefetching),
			"1 pod tries to download ahead now"},
		"nodes": {nil, preheats, "2 nodes are preheated again now"},
		"while paused": {[]client.Object{failedData("x", "r1", 1)}, func(d *v1alpha1.DataSet) { d.Spec.Paused = true },
			"1 pod tries 1 failed item now"},
	} {
		t.Run(name, func(t *testing.T) {
			x := cluster(t, honour(), append(rollout(t, test.change), test.datas...)...)
			out, errOut, code := x.run(t, "retry", "models")
			if code != 0 || out != "dataset/models: "+test.says+"\n" {
				t.Errorf("exit code %d, printed %q, %q", code, out, errOut)
			}
			d := x.dataset(t)
			if !strings.HasPrefix(d.Annotations[v1alpha1.AnnotationRolloutRequest], "retry "+d.Status.UpdateRevision+" ") {
				t.Errorf("asked %q", d.Annotations)
			}
		})
	}
}

func TestTheSameRequestTwiceHasTwoTokens(t *testing.T) {
	x := cluster(t, interceptor.Funcs{}, rollout(t)...)
	seen := map[string]bool{}
	for range 2 {
		if _, errOut, code := x.run(t, "promote", "models", "--wait=false"); code != 0 {
			t.Fatal(errOut)
		}
		seen[x.dataset(t).Annotations[v1alpha1.AnnotationRolloutRequest]] = true
	}
	if len(seen) != 2 {
		t.Errorf("two promotions look the same: %v", seen)
	}
}

func TestARequestThatTheManagerDoesNotTakeUpTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := cluster(t, interceptor.Funcs{}, rollout(t)...)
		_, errOut, code := x.run(t, "promote", "models")
		if code != frame.ExitTimeout || !strings.Contains(errOut, "has not taken up the request within 15s") {
			t.Errorf("exit code %d, printed %q", code, errOut)
		}
	})
}

func TestRequestsAboutARevisionThatIsOverAreNotAwaited(t *testing.T) {
	x := cluster(t, manager(func(d *v1alpha1.DataSet) {
		d.Status.UpdateRevision, d.Status.Rollout.Revision = "models-other", "models-other"
	}), rollout(t)...)
	_, errOut, code := x.run(t, "promote", "models")
	if code != frame.ExitError || !strings.Contains(errOut, "another rollout began") {
		t.Errorf("exit code %d, printed %q", code, errOut)
	}
}

func TestRequestsThatMakeNoSenseSayWhichDoes(t *testing.T) {
	paused := func(d *v1alpha1.DataSet) { d.Spec.Paused = true }
	for name, test := range map[string]struct {
		verb   string
		change func(*v1alpha1.DataSet)
		want   string
	}{
		"promote, complete":    {"promote", phase(v1alpha1.RolloutCompleted), "its rollout is complete; there is nothing to promote"},
		"promote, stopped":     {"promote", phase(v1alpha1.RolloutStopped), "kubectl kuda retry models"},
		"promote, rolled back": {"promote", phase(v1alpha1.RolloutRolledBack), "kubectl kuda retry models"},
		"promote, paused":      {"promote", paused, "kubectl kuda resume models"},
		"promote, after all":   {"promote", func(d *v1alpha1.DataSet) { d.Status.Rollout.Step = 2 }, "waits at no step (it has 2)"},
		"promote, no status":   {"promote", func(d *v1alpha1.DataSet) { d.Status.Rollout = nil }, "has not looked at the present DataSet"},
		"promote, just edited": {"promote", func(d *v1alpha1.DataSet) { d.Status.ObservedGeneration = 2 },
			"has not looked at the present DataSet"},
		"abort, complete":    {"abort", phase(v1alpha1.RolloutCompleted), "kubectl kuda undo models"},
		"abort, on the way":  {"abort", phase(v1alpha1.RolloutRollingBack), "being rolled back already"},
		"abort, rolled back": {"abort", phase(v1alpha1.RolloutRolledBack), "rolled back already"},
		"abort, first revision": {"abort", func(d *v1alpha1.DataSet) { d.Status.CurrentRevision = d.Status.UpdateRevision },
			"no other revision to go back to"},
		"retry, paused": {"retry", func(d *v1alpha1.DataSet) { paused(d); phase(v1alpha1.RolloutStopped)(d) },
			"kubectl kuda resume models"},
		"promote, retrying": {"promote", func(d *v1alpha1.DataSet) { d.Status.Rollout.Reason = v1alpha1.ReasonRetrying },
			"go back before it is tried again"},
		"promote, first revision": {"promote", func(d *v1alpha1.DataSet) { d.Status.CurrentRevision = d.Status.UpdateRevision },
			"waits at no step (it has 2)"},
		"promote, prefetching":  {"promote", phase(v1alpha1.RolloutPrefetching), "steps begin when the bytes are on the nodes"},
		"retry, running":        {"retry", phase(v1alpha1.RolloutProgressing), "its rollout is running and nothing failed"},
		"retry, complete":       {"retry", phase(v1alpha1.RolloutCompleted), "its rollout is complete and nothing failed"},
		"pause, paused":         {"pause", paused, "is paused already"},
		"resume, at a step":     {"resume", func(*v1alpha1.DataSet) {}, "kubectl kuda promote models"},
		"resume, stopped":       {"resume", phase(v1alpha1.RolloutStopped), "kubectl kuda retry models"},
		"resume, nothing to it": {"resume", phase(v1alpha1.RolloutCompleted), "is not paused"},
	} {
		t.Run(name, func(t *testing.T) {
			x := cluster(t, interceptor.Funcs{}, rollout(t, test.change)...)
			before := x.dataset(t).ResourceVersion
			_, errOut, code := x.run(t, test.verb, "models")
			if code != frame.ExitError || !strings.Contains(errOut, test.want) {
				t.Errorf("exit code %d, printed %q", code, errOut)
			}
			if x.dataset(t).ResourceVersion != before {
				t.Error("the DataSet was changed")
			}
		})
	}
}

func TestPauseAndResumeSetSpecPaused(t *testing.T) {
	x := cluster(t, interceptor.Funcs{}, rollout(t)...)
	if out, errOut, code := x.run(t, "pause", "models"); code != 0 || !x.dataset(t).Spec.Paused ||
		!strings.Contains(out, "1 of 4 pods have the new revision") {
		t.Errorf("exit code %d, printed %q, %q", code, out, errOut)
	}
	if _, errOut, code := x.run(t, "resume", "models"); code != 0 || x.dataset(t).Spec.Paused {
		t.Errorf("exit code %d, printed %q", code, errOut)
	}
}

func TestHistoryJoinsRecordsAndRevisions(t *testing.T) {
	objects := rollout(t, func(d *v1alpha1.DataSet) {
		gone := metav1.NewTime(now.Add(-47 * time.Hour))
		d.Status.History = append([]v1alpha1.RolloutRecord{{
			Revision: "models-gone", Number: 0, Outcome: v1alpha1.OutcomeRolledBack, StartTime: &gone, EndTime: &gone, Message: "2 pods failed",
		}}, d.Status.History...)
	})
	x := cluster(t, interceptor.Funcs{}, objects...)
	for name, args := range map[string][]string{
		"history.txt": {"history", "models"}, "history-wide.txt": {"history", "models", "-o", "wide"},
		"history.yaml": {"history", "models", "-o", "yaml"}, "history-revision.yaml": {"history", "models", "--revision", "1"},
	} {
		out, errOut, code := x.run(t, args...)
		if code != 0 {
			t.Fatalf("%v: %s", args, errOut)
		}
		golden.Compare(t, name, out)
	}
}

func TestErrorsAreOneLineThatSaysWhatToDo(t *testing.T) {
	group := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "datasets"}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no CRD": {&meta.NoKindMatchError{GroupKind: v1alpha1.GroupVersion.WithKind("DataSet").GroupKind(),
			SearchedVersions: []string{"v1alpha1"}}, "error: this cluster does not know DataSets: install Kuda"},
		"no rights": {apierrors.NewForbidden(group, "models", errors.New("no")), "ask for that right"},
		"no login":  {apierrors.NewUnauthorized("token expired"), "log in again"},
		"no such":   {apierrors.NewNotFound(group, "models"), "there is no DataSet models in namespace shop"},
	} {
		x := cluster(t, interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object,
			...client.GetOption) error {
			return test.err
		}})
		_, errOut, code := x.run(t, "status", "models")
		if code != frame.ExitError || !strings.Contains(errOut, test.want) || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%s: exit code %d, printed %q", name, code, errOut)
		}
	}
}

func TestFollowingARolloutEndsWithItsOutcome(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, c client.Client, d *v1alpha1.DataSet)
		code int
		says string
	}{
		"completed": {ends(v1alpha1.RolloutCompleted), frame.ExitDone, "dataset/models: delivered: revision 3: 4 of 4 pods have it\n"},
		"failed":    {ends(v1alpha1.RolloutRolledBack), frame.ExitNegative, "dataset/models: failed: revision 3: the rollout failed\n"},
		"deleted": {func(t *testing.T, c client.Client, d *v1alpha1.DataSet) {
			if err := c.Delete(t.Context(), d); err != nil {
				t.Error(err)
			}
		}, frame.ExitNegative, "DataSet models was deleted"},
		"never": {func(*testing.T, client.Client, *v1alpha1.DataSet) {}, frame.ExitTimeout,
			"was not delivered within 1m0s: revision 3 is Progressing: StepPaused: step 1 of 2 is a pause"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := cluster(t, interceptor.Funcs{}, rollout(t)...)
				f, p := x.Frame()
				done := make(chan int, 1)
				go func() {
					done <- cli.Run(t.Context(), f, []string{"kuda", "-n", "shop", "status", "-w", "models", "--timeout", "1m"})
				}()
				time.Sleep(5 * time.Second)
				test.end(t, x.Client, x.dataset(t))
				if code := <-done; code != test.code || !strings.Contains(p.Both.String(), test.says) {
					t.Errorf("exit code %d, printed:\n%s", code, &p.Both)
				}
			})
		})
	}
}

func ends(p v1alpha1.RolloutPhase) func(*testing.T, client.Client, *v1alpha1.DataSet) {
	return func(t *testing.T, c client.Client, d *v1alpha1.DataSet) {
		d.Status.Rollout.Phase = p
		if p == v1alpha1.RolloutCompleted {
			d.Status.UpdatedReplicas, d.Status.Success = 4, 4
			d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue,
				Reason: v1alpha1.ReasonDelivered, ObservedGeneration: d.Generation}}
		}
		if err := c.Status().Update(t.Context(), d); err != nil {
			t.Error(err)
		}
	}
}

func TestTheNameItIsCalledByIsTheNameItShows(t *testing.T) {
	x := cluster(t, interceptor.Funcs{}, rollout(t)...)
	for called, want := range map[string]string{"kubectl-kuda": "kubectl kuda [command]", "/usr/bin/kuda": "kuda [command]",
		"kubectl-kuda.exe": "kubectl kuda [command]"} {
		f, p := x.Frame()
		if code := cli.Run(t.Context(), f, []string{called, "--help"}); code != 0 || !strings.Contains(p.Out.String(), "  "+want) {
			t.Errorf("%s: exit code %d, printed:\n%s", called, code, &p.Out)
		}
	}
}

func TestCompletionListsNamesAndRevisions(t *testing.T) {
	x := cluster(t, interceptor.Funcs{}, append(rollout(t), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0"}})...)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"kubectl_complete-kuda", "-n", "shop", "promote", "mo"}, "models\n:4\n"},
		{[]string{"kubectl_complete-kuda", "-n", "shop", "promote", "x"}, ":4\n"},
		{[]string{"kubectl_complete-kuda", "-n", "shop", "undo", "models", "--to-revision", ""},
			"3\tweights v3\n2\tweights v2\n1\tweights v1\n:36\n"},
		{[]string{"kubectl_complete-kuda", "-n", "shop", "nodes", "mo"}, "models\n:4\n"},
		{[]string{"kubectl_complete-kuda", "-n", "shop", "nodes", "models", ""}, ":4\n"},
		{[]string{"kubectl_complete-kuda", "-n", "shop", "why", "w"}, "web-0\n:4\n"},
		{[]string{"kubectl_complete-kuda", "-n", "shop", "why", "web-0", ""}, ":4\n"},
		{[]string{"kuda", "__complete", "status", "-o", ""}, "json\nyaml\nwide\nname\n:4\n"},
	} {
		f, p := x.Frame()
		if code := cli.Run(t.Context(), f, test.args); code != 0 || p.Out.String() != test.want {
			t.Errorf("%v: exit code %d, printed %q, want %q", test.args, code, &p.Out, test.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		f, p := x.Frame()
		if code := cli.Run(t.Context(), f, []string{"kuda", "completion", shell}); code != 0 || !strings.Contains(p.Out.String(), "kuda") {
			t.Errorf("%s: exit code %d", shell, code)
		}
	}
}
