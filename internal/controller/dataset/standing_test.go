// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

func TestTheSpecIsCarriedOutOnItsWayOrInNeedOfHelp(t *testing.T) {
	progress := cause{v1alpha1.ReasonDelivering, "1 of 2"}
	overdue := cause{v1alpha1.ReasonDeliveryFailed, "for longer than 10m0s"}
	failed := cause{v1alpha1.ReasonPodsFailed, "pod a failed"}
	deadline := cause{v1alpha1.ReasonProgressDeadlineExceeded, "no pod came further"}
	for name, c := range map[string]struct {
		standing             standing
		reconciling, stalled string
	}{
		"first delivery": {standing{phase: v1alpha1.RolloutDelivering, waits: rollout.WaitsForDelivery, pods: 2}, "Delivering", ""},
		"first delivery, a pod is late while others come": {
			standing{phase: v1alpha1.RolloutDelivering, waits: rollout.WaitsForDelivery, pods: 2, overdue: overdue}, "Delivering", ""},
		"first delivery past the deadline": {
			standing{phase: v1alpha1.RolloutDelivering, waits: rollout.WaitsForDelivery, pods: 2, failure: deadline},
			"", "ProgressDeadlineExceeded"},
		"no pods":            {standing{phase: v1alpha1.RolloutDelivering, waits: rollout.WaitsForPods}, "", ""},
		"no pod has started": {standing{phase: v1alpha1.RolloutDelivering, waits: rollout.WaitsForPods, pods: 1}, "Delivering", ""},
		"no pod starts": {standing{phase: v1alpha1.RolloutDelivering, waits: rollout.WaitsForPods, pods: 1, overdue: overdue},
			"", "DeliveryFailed"},
		"done":              {standing{phase: v1alpha1.RolloutCompleted, pods: 2, complete: true}, "", ""},
		"done, a new pod":   {standing{phase: v1alpha1.RolloutCompleted, pods: 2}, "", ""},
		"done, a pod fails": {standing{phase: v1alpha1.RolloutCompleted, pods: 2, overdue: overdue}, "", "DeliveryFailed"},
		"prefetching":       {standing{phase: v1alpha1.RolloutPrefetching, waits: rollout.WaitsForPrefetch, pods: 2}, "Delivering", ""},
		"moving": {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForDelivery, pods: 2, overdue: overdue},
			"Delivering", ""},
		"goes on past the deadline": {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForReady, pods: 2, failure: deadline},
			"", "ProgressDeadlineExceeded"},
		"in a pause": {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForStep, pods: 2, complete: true}, "Delivering", ""},
		"paused": {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForResume, pods: 2, complete: true, held: 1},
			"Delivering", ""},
		"paused, nothing to move": {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForResume, pods: 2, complete: true}, "", ""},
		"paused, one on its way":  {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForResume, pods: 2}, "Delivering", ""},
		"held back":               {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForPartition, pods: 2, held: 1}, "", ""},
		"held back, a pod fails": {standing{phase: v1alpha1.RolloutProgressing, waits: rollout.WaitsForPartition, pods: 2, overdue: overdue},
			"", "DeliveryFailed"},
		"stopped":                {standing{phase: v1alpha1.RolloutStopped, pods: 2, complete: true, failure: failed}, "", "PodsFailed"},
		"stopped, no pods":       {standing{phase: v1alpha1.RolloutStopped, failure: failed}, "", "PodsFailed"},
		"rolling back":           {standing{phase: v1alpha1.RolloutRollingBack, pods: 2, failure: failed}, "Delivering", ""},
		"back past its deadline": {standing{phase: v1alpha1.RolloutRollingBack, pods: 2, failure: deadline}, "Delivering", ""},
		"cannot go back": {standing{phase: v1alpha1.RolloutRollingBack, pods: 2, failure: deadline, overdue: overdue},
			"", "DeliveryFailed"},
		"rolled back": {standing{phase: v1alpha1.RolloutRolledBack, pods: 2, complete: true, failure: failed}, "", "PodsFailed"},
		"refused":     {standing{phase: v1alpha1.RolloutCompleted, pods: 2, complete: true, refusal: "quota"}, "WriteRefused", ""},
		"refused for long": {standing{phase: v1alpha1.RolloutCompleted, pods: 2, complete: true, refusal: "quota", refusedFor: refusalGrace},
			"", "WriteRefused"},
		"refused on the way back": {standing{phase: v1alpha1.RolloutRollingBack, pods: 2, failure: failed, refusal: "quota",
			refusedFor: refusalGrace}, "Delivering", ""},
		"refused after it was stopped": {standing{phase: v1alpha1.RolloutStopped, pods: 2, failure: failed, refusal: "quota"}, "", "PodsFailed"},
	} {
		c.standing.progress = progress
		reconciling, stalled := c.standing.decide()
		if reconciling.reason != c.reconciling || stalled.reason != c.stalled {
			t.Errorf("%s: Reconciling %q, Stalled %q; want %q, %q", name, reconciling.reason, stalled.reason, c.reconciling, c.stalled)
		}
		conditions := standingConditions(reconciling, stalled)
		for i, want := range []string{c.reconciling, c.stalled} {
			if (conditions[i].Status == metav1.ConditionTrue) != (want != "") || conditions[i].Reason == "" || conditions[i].Message == "" {
				t.Errorf("%s: %+v", name, conditions[i])
			}
		}
	}
}

// shows is what a status says: phase, READY, and the conditions that are True.
func (b *bench) shows() string {
	b.t.Helper()
	s := b.set().Status
	words := []string{string(s.Rollout.Phase), s.Ready}
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		c := meta.FindStatusCondition(s.Conditions, kind)
		if c == nil || c.ObservedGeneration != b.set().Generation {
			b.t.Fatalf("condition %s: %+v", kind, c)
		}
		if c.Status == metav1.ConditionTrue {
			words = append(words, kind)
		}
	}
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	stalled := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled)
	if stalled.Status == metav1.ConditionTrue {
		return strings.Join(append(words, stalled.Reason), " ")
	}
	return strings.Join(append(words, ready.Reason), " ")
}

func (b *bench) expect(what, want string) {
	b.t.Helper()
	if got := b.shows(); got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestAFirstDeliveryIsDoneOnlyWithItsPods(t *testing.T) {
	b := newBench(t, models())
	b.settle("")
	b.expect("no pods", "Delivering 0/0 Ready NoPods")
	for _, name := range []string{"a", "b"} {
		if err := b.client.Create(t.Context(), web(name, true)); err != nil {
			t.Fatal(err)
		}
	}
	b.pass()
	b.expect("on the way", "Delivering 0/2 Reconciling Delivering")
	b.report(v1alpha1.ReasonNotFound)
	b.settle(v1alpha1.ReasonNotFound)
	b.expect("failed", "Delivering 0/2 Reconciling DeliveryFailed")
	if got := outcomes(b.set().Status); got != "Running" {
		t.Errorf("history: %s", got)
	}
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > 10*time.Minute {
		t.Fatalf("looks again after %s, %v", result.RequeueAfter, err)
	}
	b.clock.SetTime(b.clock.Now().Add(result.RequeueAfter))
	b.settle(v1alpha1.ReasonNotFound)
	b.expect("past the deadline", "Delivering 0/2 Stalled ProgressDeadlineExceeded")
	if c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionStalled); !strings.Contains(c.Message, "NotFound") {
		t.Errorf("the cause is not named: %s", c.Message)
	}
	if n := b.pass(); n != 0 {
		t.Errorf("a pass over an unchanged cluster wrote: %v", b.writes)
	}
	b.settle("")
	b.expect("mended", "Completed 2/2 Ready Delivered")
	if r := b.set().Status.History[0]; outcomes(b.set().Status) != "Succeeded" || *r.Pods != 2 || !r.EndTime.After(r.StartTime.Time) {
		t.Errorf("history: %+v", r)
	}
}

// downloading plays runtimes whose items are on their way.
func (b *bench) downloading(pods ...string) {
	b.t.Helper()
	for name, d := range b.datas() {
		if !slices.Contains(pods, name) {
			continue
		}
		d.Status = v1alpha1.DataStatus{ObservedRevision: d.Spec.Revision, DataItems: 1, Downloading: 1, Ready: "0/1",
			DataItemsStatus: []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: v1alpha1.DataDownloading}},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDownloading,
				LastTransitionTime: metav1.NewTime(start)}},
		}
		b.updateStatus(d)
	}
}

func TestADeliveryHasNoDeadlineWhileItsBytesFlow(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	b.downloading("a")
	for range 12 {
		b.pass()
		b.expect("the first delivery downloads", "Delivering 0/1 Reconciling Delivering")
		b.clock.SetTime(b.clock.Now().Add(5 * time.Minute))
	}
	b.report(v1alpha1.ReasonSourceUnreachable)
	b.pass()
	b.expect("it has just failed", "Delivering 0/1 Reconciling DeliveryFailed")
	b.clock.SetTime(b.clock.Now().Add(11 * time.Minute))
	b.pass()
	b.expect("it failed for long", "Delivering 0/1 Stalled ProgressDeadlineExceeded")

	b.settle("")
	late := web("late", true)
	late.CreationTimestamp = metav1.NewTime(b.clock.Now())
	if err := b.client.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	b.pass()
	b.downloading("late")
	b.clock.SetTime(b.clock.Now().Add(time.Hour))
	b.pass()
	b.expect("a later pod downloads", "Completed 1/2 Delivering")
}

func TestAPodThatFailsForEverStallsTheDataSet(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.settle("")
	b.expect("before", "Completed 1/1 Ready Delivered")
	late := web("late", true)
	late.CreationTimestamp = metav1.NewTime(b.clock.Now())
	if err := b.client.Create(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	b.pass()
	b.report(v1alpha1.ReasonAccessDenied, "late")
	b.pass()
	b.expect("it failed", "Completed 1/2 DeliveryFailed")
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter != 10*time.Minute {
		t.Fatalf("looks again after %s, %v", result.RequeueAfter, err)
	}
	b.clock.SetTime(b.clock.Now().Add(result.RequeueAfter - time.Second))
	b.pass()
	b.expect("a second before", "Completed 1/2 DeliveryFailed")
	b.clock.SetTime(b.clock.Now().Add(time.Second))
	b.pass()
	b.expect("past the deadline", "Completed 1/2 Stalled DeliveryFailed")
	b.report("", "late")
	b.pass()
	b.expect("mended", "Completed 2/2 Ready Delivered")
}

func TestAPodHasLackedItsDataSinceItLastHadIt(t *testing.T) {
	born, reported := start, start.Add(time.Hour)
	pod := web("a", true)
	pod.CreationTimestamp = metav1.NewTime(born)
	ready := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, LastTransitionTime: metav1.NewTime(reported)}}
	for name, c := range map[string]struct {
		data *v1alpha1.Data
		want time.Time
	}{
		"no Data":               {nil, born},
		"reported, had none":    {&v1alpha1.Data{Status: v1alpha1.DataStatus{Conditions: ready}}, born},
		"had one":               {&v1alpha1.Data{Status: v1alpha1.DataStatus{Conditions: ready, CurrentRevision: "r1"}}, reported},
		"had one, says no more": {&v1alpha1.Data{Status: v1alpha1.DataStatus{CurrentRevision: "r1"}}, born},
	} {
		if got := lacksSince(&replica{pod: pod, data: c.data}); !got.Equal(c.want) {
			t.Errorf("%s: since %s, want %s", name, got, c.want)
		}
	}
}

func TestTheDeadlineOfAPodBeginsWithTheLatestOfItsCauses(t *testing.T) {
	pod := web("a", false)
	pod.CreationTimestamp = metav1.NewTime(start)
	for name, c := range map[string]struct {
		change func(*session)
		want   time.Duration
	}{
		"the pod's creation":     {func(*session) {}, 10 * time.Minute},
		"the DataSet's":          {func(p *session) { p.set.CreationTimestamp = *second(time.Minute) }, 11 * time.Minute},
		"the end of the rollout": {func(p *session) { p.plan.State.ProgressTime = micro(2 * time.Minute) }, 12 * time.Minute},
	} {
		p := &session{set: models(), observed: &observation{uninjected: []*corev1.Pod{pod}}, now: start}
		c.change(p)
		if after, lacks := p.overdueAfter(); !lacks || after != c.want {
			t.Errorf("%s: after %s, %v, want %s", name, after, lacks, c.want)
		}
	}
	if _, lacks := (&session{set: models(), observed: &observation{}, now: start}).overdueAfter(); lacks {
		t.Error("without pods one lacks its data")
	}
}

func TestReadyCountsEachMatchingPod(t *testing.T) {
	namespace := func(value string) client.Object {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{v1alpha1.LabelInjection: value}}}
	}
	bare := func(name string) *corev1.Pod {
		p := web(name, false)
		p.CreationTimestamp = metav1.NewTime(start)
		return p
	}
	optedOut := bare("out")
	optedOut.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
	for name, c := range map[string]struct {
		objects     []client.Object
		want, later string
	}{
		"one of two lacks the runtime": {[]client.Object{web("a", true), bare("b")},
			"Completed 1/2 PodsNotInjected", "Completed 1/2 Stalled PodsNotInjected"},
		"none has it": {[]client.Object{bare("b")},
			"Delivering 0/1 Reconciling PodsNotInjected", "Delivering 0/1 Stalled PodsNotInjected"},
		"a pod that is opted out": {[]client.Object{web("a", true), optedOut}, "Completed 1/1 Ready Delivered", ""},
		"a namespace that is opted out": {[]client.Object{web("a", true), bare("b"), namespace(v1alpha1.InjectionDisabled)},
			"Completed 1/1 Ready Delivered", ""},
		"a namespace that is opted out, no pod has it": {[]client.Object{bare("b"), namespace(v1alpha1.InjectionDisabled)},
			"Delivering 0/0 Ready NoPods", ""},
	} {
		b := newBench(t, append(c.objects, models())...)
		b.settle("")
		b.expect(name, c.want)
		if c.later == "" {
			c.later = c.want
		}
		b.clock.SetTime(b.clock.Now().Add(time.Hour))
		b.settle("")
		b.expect(name+", past the deadline", c.later)
	}
}

func TestAStatusOfV010IsReadAnew(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	d := b.set()
	first := d.Status.UpdateRevision
	// What v0.1.0 wrote one second after an apply, before there was a pod.
	d.Status.Rollout.Phase, d.Status.Rollout.EndTime = v1alpha1.RolloutCompleted, d.Status.Rollout.StartTime
	d.Status.History[0].Outcome, d.Status.History[0].EndTime = v1alpha1.OutcomeSucceeded, d.Status.History[0].StartTime
	b.updateStatus(d)
	b.settle(v1alpha1.ReasonNotFound)
	b.expect("no pod had it", "Delivering 0/1 Reconciling DeliveryFailed")
	if got := outcomes(b.set().Status); got != "Running" {
		t.Errorf("history: %s", got)
	}
	// An edit follows: v0.1.0 would leave a revision that succeeded.
	b.edit("v2")
	d = b.set()
	d.Status.History[0].Outcome = v1alpha1.OutcomeSucceeded
	b.updateStatus(d)
	b.pass()
	s := b.settle("")
	if got := outcomes(s); got != "Superseded Succeeded" || s.CurrentRevision == first {
		t.Errorf("history: %s, %+v", got, s.History)
	}
}

func TestAWriteThatIsRefusedForLongStallsUntilItIsTaken(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.refuse = func(o client.Object) error {
		if _, ok := o.(*v1alpha1.Data); ok {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "datas"}, o.GetName(), errors.New("exceeded quota"))
		}
		return nil
	}
	b.passRefused()
	b.expect("refused", "Delivering 0/1 Reconciling WriteRefused")
	b.clock.SetTime(b.clock.Now().Add(refusalGrace))
	b.passRefused()
	b.expect("refused for long", "Delivering 0/1 Stalled WriteRefused")
	b.refuse = nil
	b.settle("")
	b.expect("taken", "Completed 1/1 Ready Delivered")
}

func TestTheUserOfAChangeIsCarriedOn(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	sign := func(by string, change func(*v1alpha1.DataSet)) {
		t.Helper()
		d := b.set()
		change(d)
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationChangedBy, by)
		if err := b.client.Update(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	generation := func(d *v1alpha1.DataSet, n int64) {
		d.Generation = n
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationChangedGeneration, map[int64]string{1: "1", 2: "2"}[n])
	}
	sign("alice", func(d *v1alpha1.DataSet) { generation(d, 1) })
	b.settle("")
	sign("bob", func(d *v1alpha1.DataSet) {
		generation(d, 2)
		d.Spec.Template.DataItems[0].Version = "v2"
	})
	b.pass()
	s := b.set().Status
	if *s.History[0].ChangedBy != "alice" || *s.History[1].ChangedBy != "bob" {
		t.Errorf("history: %+v", s.History)
	}
	own, err := b.revisions.listRevisions(t.Context(), b.set())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{s.CurrentRevision: "alice", s.UpdateRevision: "bob"} {
		if got := revision.ChangedBy(revision.Named(own, name)); got != want {
			t.Errorf("revision %s is of %q, want %q", name, got, want)
		}
	}
	b.request(v1alpha1.RequestAbort, "1")
	sign("bob", func(d *v1alpha1.DataSet) {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRequestedBy, "carol")
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRequestedFor, d.Annotations[v1alpha1.AnnotationRolloutRequest])
	})
	s = b.settle("")
	if s.Rollout.Message != "carol aborted" || s.History[1].Message != "carol aborted" {
		t.Errorf("message: %q, history: %+v", s.Rollout.Message, s.History[1])
	}
	// The webhook did not see who asks for the retry: the name of the last request says nothing.
	b.clock.SetTime(b.clock.Now().Add(time.Hour))
	b.request(v1alpha1.RequestRetry, "2")
	s = b.settle("")
	if last := s.History[len(s.History)-1]; last.ChangedBy != nil || outcomes(s) != "Succeeded RolledBack Succeeded" {
		t.Errorf("history: %+v", s.History)
	}
}

func TestEventsNameTheUser(t *testing.T) {
	steps := []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}, {Pause: &v1alpha1.PauseStep{}}}
	state := func(step int32, request string) *v1alpha1.RolloutStatus {
		return &v1alpha1.RolloutStatus{Revision: "r2", Phase: v1alpha1.RolloutProgressing, StartTime: micro(0), Step: step, Request: request}
	}
	before := v1alpha1.DataSetStatus{CurrentRevision: "r1", Rollout: state(0, "")}
	after := v1alpha1.DataSetStatus{CurrentRevision: "r1", Rollout: state(1, "promote r2 1")}
	if n := rolloutTransitions(before, after, steps, "alice"); len(n) != 1 || !strings.HasSuffix(n[0].note, ", promoted by alice") {
		t.Errorf("%v", n)
	}
	before.Rollout.Request = after.Rollout.Request
	if n := rolloutTransitions(before, after, steps, "alice"); len(n) != 1 || strings.Contains(n[0].note, "alice") {
		t.Errorf("a step that ended by itself: %v", n)
	}
	before.Rollout = &v1alpha1.RolloutStatus{Revision: "r1", Phase: v1alpha1.RolloutCompleted}
	after.History = []v1alpha1.RolloutRecord{{Revision: "r2", ChangedBy: new("bob")}}
	if n := rolloutTransitions(before, after, steps, ""); len(n) == 0 || n[0].note != "rolling out revision r2, wanted by bob" {
		t.Errorf("%v", n)
	}
}
