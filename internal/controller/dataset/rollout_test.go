// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/analysis"
)

// analyst plays the runner of measurements.
type analyst struct {
	asked  []analysis.Key
	result map[analysis.Key]analysis.Measurement
}

func (a *analyst) Measure(k analysis.Key, _ v1alpha1.AnalysisStep) {
	if !slices.Contains(a.asked, k) {
		a.asked = append(a.asked, k)
	}
}

func (a *analyst) Result(k analysis.Key) (analysis.Measurement, bool) {
	m, ok := a.result[k]
	return m, ok
}

func (a *analyst) Forget(types.NamespacedName) {}

// answer completes the last measurement that was asked for.
func (a *analyst) answer(ok bool, at time.Time) {
	if a.result == nil {
		a.result = map[analysis.Key]analysis.Measurement{}
	}
	a.result[a.asked[len(a.asked)-1]] = analysis.Measurement{OK: ok, Time: at, Message: fmt.Sprint("it is ", ok)}
}

// datas returns all Data by the pod's name.
func (b *bench) datas() map[string]*v1alpha1.Data {
	b.t.Helper()
	var list v1alpha1.DataList
	if err := b.client.List(b.t.Context(), &list); err != nil {
		b.t.Fatal(err)
	}
	datas := make(map[string]*v1alpha1.Data, len(list.Items))
	for i := range list.Items {
		datas[list.Items[i].Spec.PodName] = &list.Items[i]
	}
	return datas
}

// report plays the runtimes of the pods: they have their revision, or an item
// failed for the reason.
func (b *bench) report(reason string, pods ...string) {
	b.t.Helper()
	for name, d := range b.datas() {
		if len(pods) > 0 && !slices.Contains(pods, name) {
			continue
		}
		status := v1alpha1.DataStatus{
			ObservedRevision: d.Spec.Revision, CurrentRevision: d.Spec.Revision, DataItems: 1, Success: 1, Ready: "1/1",
			DataItemsStatus: []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: v1alpha1.DataSuccess}},
			Conditions: []metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDelivered,
				LastTransitionTime: metav1.NewTime(b.clock.Now()),
			}},
			Prefetch: d.Status.Prefetch,
		}
		if reason != "" {
			status.Success, status.Failed, status.Ready = 0, 1, "0/1"
			status.CurrentRevision = d.Status.CurrentRevision
			status.DataItemsStatus[0].Phase, status.DataItemsStatus[0].Reason,
				status.DataItemsStatus[0].Message = v1alpha1.DataFailed, reason, "exit 1"
			status.Conditions[0].Status, status.Conditions[0].Reason = metav1.ConditionFalse, reason
		} else if d.Status.ObservedRevision == d.Spec.Revision && d.Status.Success == 1 {
			continue
		}
		d.Status = status
		b.updateStatus(d)
	}
}

func (b *bench) updateStatus(o client.Object) {
	b.t.Helper()
	if err := b.client.Status().Update(b.t.Context(), o); err != nil {
		b.t.Fatal(err)
	}
}

// prefetched plays the runtimes' downloads ahead.
func (b *bench) prefetched(phase v1alpha1.DataPhase, reason string, pods ...string) {
	b.t.Helper()
	for name, d := range b.datas() {
		if d.Spec.PrefetchRevision != "" && (len(pods) == 0 || slices.Contains(pods, name)) {
			d.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: d.Spec.PrefetchRevision, Phase: phase, Reason: reason, Message: "why"}
			b.updateStatus(d)
		}
	}
}

func (b *bench) editPod(name string, change func(*corev1.Pod)) {
	b.t.Helper()
	var p corev1.Pod
	if err := b.client.Get(b.t.Context(), types.NamespacedName{Namespace: "shop", Name: name}, &p); err != nil {
		b.t.Fatal(err)
	}
	change(&p)
	b.updateStatus(&p)
}

func (b *bench) request(verb, token string) {
	b.t.Helper()
	d := b.set()
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRolloutRequest, verb+" "+d.Status.UpdateRevision+" "+token)
	if err := b.client.Update(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
}

// settle plays on until a pass changes nothing; runtimes of pods that are on
// the update revision report the reason.
func (b *bench) settle(reason string) v1alpha1.DataSetStatus {
	b.t.Helper()
	for range 100 {
		b.runtimes(reason)
		if b.pass() == 0 {
			return b.set().Status
		}
	}
	b.t.Fatalf("it never settles: %+v", b.set().Status)
	return v1alpha1.DataSetStatus{}
}

func (b *bench) runtimes(reason string) {
	b.t.Helper()
	d := b.set()
	for name, data := range b.datas() {
		if d.Status.ObservedGeneration == d.Generation && data.Spec.Revision == d.Status.UpdateRevision {
			b.report(reason, name)
		} else {
			b.report("", name)
		}
	}
}

func (b *bench) on(revision string) []string {
	b.t.Helper()
	var pods []string
	for name, d := range b.datas() {
		if d.Spec.Revision == revision {
			pods = append(pods, name)
		}
	}
	slices.Sort(pods)
	return pods
}

func (b *bench) reason(kind string) (metav1.ConditionStatus, string) {
	b.t.Helper()
	c := meta.FindStatusCondition(b.set().Status.Conditions, kind)
	if c == nil {
		b.t.Fatalf("there is no condition %s", kind)
	}
	return c.Status, c.Reason
}

// fleet is a DataSet whose first revision four pods have, edited to v2.
func fleet(t *testing.T, change ...func(*v1alpha1.DataSetSpec)) *bench {
	t.Helper()
	one, seconds := intstr.FromInt32(1), int32(600)
	d := models()
	d.Spec.UpdateStrategy = v1alpha1.UpdateStrategy{
		Type: v1alpha1.RollingUpdateStrategyType, RollingUpdate: &v1alpha1.RollingUpdate{MaxUnavailable: &one},
	}
	d.Spec.ProgressDeadlineSeconds = &seconds
	for _, f := range change {
		f(&d.Spec)
	}
	b := newBench(t, d, web("a", true), web("b", true), web("c", true), web("d", true))
	if s := b.settle(""); s.Ready != "4/4" || s.Rollout == nil || s.Rollout.Phase != v1alpha1.RolloutCompleted {
		t.Fatalf("the first revision: %+v", s)
	}
	b.events = nil
	b.clock.SetTime(start.Add(time.Hour))
	b.edit("v2")
	return b
}

func policy(p v1alpha1.FailurePolicy) func(*v1alpha1.DataSetSpec) {
	return func(s *v1alpha1.DataSetSpec) { s.FailurePolicy = p }
}

func outcomes(s v1alpha1.DataSetStatus) string {
	var all []string
	for _, r := range s.History {
		all = append(all, string(r.Outcome))
	}
	return strings.Join(all, " ")
}

func (b *bench) wantEvents(reasons ...string) {
	b.t.Helper()
	for _, r := range reasons {
		if !slices.Contains(b.events, r) {
			b.t.Errorf("no event %s: %v", r, b.events)
		}
	}
}

func TestARolloutRecordsTheBaselineOfMovedPods(t *testing.T) {
	b := fleet(t)
	first := b.set().Status.CurrentRevision
	b.pass()
	s := b.set().Status
	moved := b.on(s.UpdateRevision)
	if len(moved) != 1 {
		t.Fatalf("moved at first: %v", moved)
	}
	d := b.datas()[moved[0]]
	if d.Spec.Baseline == nil || !d.Spec.Baseline.Ready || !d.Spec.Baseline.ReadyTransitionTime.Time.Equal(start.Add(-time.Hour)) {
		t.Errorf("what the moved pod was like: %+v", d.Spec.Baseline)
	}
	for _, name := range b.on(first) {
		if b.datas()[name].Spec.Baseline != nil {
			t.Errorf("pod %s was not moved, and has a baseline", name)
		}
	}
	s = b.settle("")
	if len(b.on(s.UpdateRevision)) != 4 || s.CurrentRevision != s.UpdateRevision || s.Rollout.Phase != v1alpha1.RolloutCompleted {
		t.Errorf("status: %+v", s)
	}
	if got := outcomes(s); got != "Succeeded Succeeded" {
		t.Errorf("history: %s", got)
	}
	b.wantEvents(v1alpha1.EventRevisionCreated, v1alpha1.EventRolloutStarted, v1alpha1.EventRolloutCompleted, v1alpha1.EventDelivered)
}

func TestAFailedHookIsRolledBack(t *testing.T) {
	b := fleet(t, policy(v1alpha1.FailurePolicyRollback))
	first := b.set().Status.CurrentRevision
	s := b.settle(v1alpha1.ReasonHookFailed)
	if s.Rollout.Phase != v1alpha1.RolloutRolledBack || len(b.on(first)) != 4 || s.CurrentRevision != first || s.UpdateRevision == first {
		t.Fatalf("status: %+v, rollout: %+v", s, s.Rollout)
	}
	if status, reason := b.reason(v1alpha1.ConditionRolledBack); status != metav1.ConditionTrue || reason != v1alpha1.ReasonPodsFailed {
		t.Errorf("RolledBack: %s %s", status, reason)
	}
	if got := outcomes(s); got != "Succeeded RolledBack" {
		t.Errorf("history: %s", got)
	}
	b.wantEvents(v1alpha1.EventRolloutStarted, v1alpha1.EventPodFailed, v1alpha1.EventRollingBack, v1alpha1.EventRolledBack)
	if b.set().Spec.Template.DataItems[0].Version != "v2" {
		t.Error("the user's spec was edited")
	}

	b.events = nil
	b.restart()
	if n := b.pass(); n != 0 || len(b.events) != 0 {
		t.Errorf("a restart tries it again: %v %v", b.writes, b.events)
	}
	b.clock.SetTime(start.Add(2 * time.Hour))
	b.request(v1alpha1.RequestRetry, "1")
	if s = b.settle(""); s.Rollout.Phase != v1alpha1.RolloutCompleted || len(b.on(s.UpdateRevision)) != 4 {
		t.Errorf("after retry: %+v, rollout: %+v", s, s.Rollout)
	}
	if got := outcomes(s); got != "Succeeded RolledBack Succeeded" {
		t.Errorf("history after retry: %s", got)
	}
}

func TestAStoppedRolloutStaysStoppedUntilAnEdit(t *testing.T) {
	b := fleet(t)
	first := b.set().Status.CurrentRevision
	s := b.settle(v1alpha1.ReasonNotFound)
	if s.Rollout.Phase != v1alpha1.RolloutStopped || len(b.on(first)) != 3 {
		t.Fatalf("status: %+v, rollout: %+v", s, s.Rollout)
	}
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionProgressing)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonPodsFailed ||
		!strings.Contains(c.Message, "kubectl kuda retry models") {
		t.Errorf("Progressing: %+v", c)
	}
	b.wantEvents(v1alpha1.EventRolloutStopped, v1alpha1.EventPodFailed)
	b.restart()
	if n := b.pass(); n != 0 {
		t.Errorf("a restart writes: %v", b.writes)
	}
	b.edit("v1")
	if s = b.settle(""); len(b.on(first)) != 4 || s.CurrentRevision != first || s.Rollout.Phase != v1alpha1.RolloutCompleted {
		t.Errorf("undone: %+v, rollout: %+v", s, s.Rollout)
	}
	if got := outcomes(s); got != "Succeeded Stopped Succeeded" {
		t.Errorf("history: %s", got)
	}
}

func TestAPodThatBecomesUnreadyOrRestartsFailsTheRollout(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"unready": func(p *corev1.Pod) {
			p.Status.Conditions[0].Status = corev1.ConditionFalse
			p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(start.Add(time.Hour))
		},
		"ready again": func(p *corev1.Pod) { p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(start.Add(time.Hour)) },
		"restarted": func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", RestartCount: 1}}
		},
	} {
		b := fleet(t, policy(v1alpha1.FailurePolicyRollback), func(s *v1alpha1.DataSetSpec) {
			s.UpdateStrategy.RollingUpdate.MinReadySeconds = 30
		})
		first := b.set().Status.CurrentRevision
		b.pass()
		moved := b.on(b.set().Status.UpdateRevision)[0]
		b.report("", moved)
		b.clock.SetTime(b.clock.Now().Add(time.Second))
		b.editPod(moved, change)
		if s := b.settle(""); s.Rollout.Phase != v1alpha1.RolloutRolledBack || len(b.on(first)) != 4 ||
			!slices.Equal(s.Rollout.FailedPods, []string{moved}) {
			t.Errorf("%s: %+v", name, s.Rollout)
		}
		b.wantEvents(v1alpha1.EventPodFailed)
	}
}

func TestTheNextPassComesAfterMinReadySeconds(t *testing.T) {
	b := fleet(t, func(s *v1alpha1.DataSetSpec) { s.UpdateStrategy.RollingUpdate.MinReadySeconds = 30 })
	b.pass()
	moved := b.on(b.set().Status.UpdateRevision)[0]
	b.report("", moved)
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter < 30*time.Second || result.RequeueAfter > 31*time.Second {
		t.Fatalf("looks again after %s, %v", result.RequeueAfter, err)
	}
	if n := len(b.on(b.set().Status.UpdateRevision)); n != 1 {
		t.Errorf("%d pods are moved before the time", n)
	}
	b.clock.SetTime(b.clock.Now().Add(result.RequeueAfter))
	b.pass()
	if n := len(b.on(b.set().Status.UpdateRevision)); n != 2 {
		t.Errorf("%d pods are moved after the time", n)
	}
}

func TestStepsAreTakenInOrderAcrossRestarts(t *testing.T) {
	half := intstr.FromString("50%")
	b := fleet(t, func(s *v1alpha1.DataSetSpec) {
		s.UpdateStrategy.Steps = []v1alpha1.RolloutStep{
			{Partition: &half},
			{Pause: &v1alpha1.PauseStep{}},
			{Analysis: &v1alpha1.AnalysisStep{
				HTTP: &v1alpha1.HTTPCheck{URL: "http://x"}, Count: 2, FailureLimit: 1, Interval: &metav1.Duration{Duration: time.Minute},
			}},
		}
	})
	s := b.settle("")
	if len(b.on(s.UpdateRevision)) != 2 || s.Rollout.Step != 1 {
		t.Fatalf("in the pause: %+v", s.Rollout)
	}
	if _, reason := b.reason(v1alpha1.ConditionProgressing); reason != v1alpha1.ReasonStepPaused {
		t.Errorf("in the pause: Progressing %s", reason)
	}
	b.restart()
	if n := b.pass(); n != 0 {
		t.Errorf("a restart writes: %v", b.writes)
	}
	b.request(v1alpha1.RequestPromote, "1")
	s = b.settle("")
	if s.Rollout.Step != 2 || len(b.analyst.asked) != 0 {
		t.Fatalf("promoted: %+v, measured %v", s.Rollout, b.analyst.asked)
	}
	if _, reason := b.reason(v1alpha1.ConditionProgressing); reason != v1alpha1.ReasonAnalyzing {
		t.Errorf("in the analysis: Progressing %s", reason)
	}
	for i, ok := range []bool{false, true} {
		b.clock.SetTime(b.clock.Now().Add(61 * time.Second))
		b.settle("")
		if len(b.analyst.asked) != i+1 {
			t.Fatalf("measurement %d is not asked for: %v", i, b.analyst.asked)
		}
		b.restart()
		b.analyst.answer(ok, b.clock.Now())
		s = b.settle("")
	}
	if s.Rollout.Phase != v1alpha1.RolloutCompleted || len(b.on(s.UpdateRevision)) != 4 || len(b.analyst.asked) != 2 {
		t.Errorf("in the end: %+v, measured %d times", s.Rollout, len(b.analyst.asked))
	}
	b.wantEvents(v1alpha1.EventRolloutStep)
}

func TestPodsAreMovedOnlyAfterAllHavePrefetched(t *testing.T) {
	b := fleet(t, func(s *v1alpha1.DataSetSpec) { s.Prefetch = true })
	s := b.settle("")
	first := s.CurrentRevision
	if s.Rollout.Phase != v1alpha1.RolloutPrefetching || len(b.on(first)) != 4 {
		t.Fatalf("at first: %+v", s.Rollout)
	}
	for name, d := range b.datas() {
		if d.Spec.PrefetchRevision != s.UpdateRevision {
			t.Errorf("pod %s prefetches %q", name, d.Spec.PrefetchRevision)
		}
	}
	if status, reason := b.reason(v1alpha1.ConditionProgressing); status != metav1.ConditionTrue || reason != v1alpha1.ReasonPrefetching {
		t.Errorf("Progressing: %s %s", status, reason)
	}
	b.prefetched(v1alpha1.DataSuccess, "", "a", "b", "c")
	if s = b.settle(""); s.Rollout.Phase != v1alpha1.RolloutPrefetching {
		t.Fatalf("with one missing: %+v", s.Rollout)
	}
	b.prefetched(v1alpha1.DataSuccess, "")
	if s = b.settle(""); s.Rollout.Phase != v1alpha1.RolloutCompleted || len(b.on(s.UpdateRevision)) != 4 {
		t.Fatalf("in the end: %+v", s.Rollout)
	}
	for name, d := range b.datas() {
		if d.Spec.PrefetchRevision != "" {
			t.Errorf("pod %s still prefetches %q", name, d.Spec.PrefetchRevision)
		}
	}
}

func TestOnePodFillsTheCachesBeforeTheOthersPrefetch(t *testing.T) {
	b := fleet(t, func(s *v1alpha1.DataSetSpec) { s.Prefetch, s.Preheat = true, &v1alpha1.Preheat{Cache: true} })
	s := b.settle("")
	var filler string
	for name, d := range b.datas() {
		if d.Spec.FillCache != (d.Spec.PrefetchRevision == s.UpdateRevision) {
			t.Errorf("pod %s prefetches %q, and fills the caches: %t", name, d.Spec.PrefetchRevision, d.Spec.FillCache)
		}
		if d.Spec.FillCache && filler != "" {
			t.Errorf("%s and %s fill the caches", filler, name)
		}
		if d.Spec.FillCache {
			filler = name
		}
	}
	b.prefetched(v1alpha1.DataSuccess, "", filler)
	s = b.settle("")
	for name, d := range b.datas() {
		if d.Spec.PrefetchRevision != s.UpdateRevision || d.Spec.FillCache != (name == filler) {
			t.Errorf("with full caches, pod %s prefetches %q, and fills the caches: %t", name, d.Spec.PrefetchRevision, d.Spec.FillCache)
		}
	}
	b.prefetched(v1alpha1.DataSuccess, "")
	if s = b.settle(""); s.Rollout.Phase != v1alpha1.RolloutCompleted {
		t.Errorf("in the end: %+v", s.Rollout)
	}
}

func TestAnAbortMovesAllPodsBack(t *testing.T) {
	b := fleet(t)
	first := b.set().Status.CurrentRevision
	for range 2 {
		b.pass()
		b.report("")
	}
	if n := len(b.on(first)); n == 4 || n == 0 {
		t.Fatalf("%d pods have the first revision", n)
	}
	b.request(v1alpha1.RequestAbort, "1")
	s := b.settle("")
	if s.Rollout.Phase != v1alpha1.RolloutRolledBack || len(b.on(first)) != 4 || s.Rollout.Reason != v1alpha1.ReasonAborted {
		t.Errorf("status: %+v", s.Rollout)
	}
	if got := outcomes(s); got != "Succeeded RolledBack" {
		t.Errorf("history: %s", got)
	}
}

// The writes of a pass are cut off after each of them once. Whatever a manager
// had written when it died, the next one decides the same.
func TestPromise5ARollbackSurvivesAKillBetweenTwoWrites(t *testing.T) {
	died := errors.New("the manager died")
	for cut := range 40 {
		b := fleet(t, policy(v1alpha1.FailurePolicyRollback))
		first := b.set().Status.CurrentRevision
		left, dead := cut, false
		b.refuse = func(client.Object) error {
			if left--; left < 0 {
				dead = true
				return died
			}
			return nil
		}
		gaveUp := false
		for range 60 {
			if _, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
				if !errors.Is(err, died) {
					t.Fatal(err)
				}
				b.refuse = nil
				b.restart()
			}
			s := b.set().Status
			for name, d := range b.datas() {
				if gaveUp && d.Spec.Revision == s.UpdateRevision && d.Status.ObservedRevision != s.UpdateRevision {
					t.Errorf("cut %d: pod %s is moved to a revision that was given up", cut, name)
				}
			}
			gaveUp = s.Rollout.Phase == v1alpha1.RolloutRollingBack || s.Rollout.Phase == v1alpha1.RolloutRolledBack
			b.runtimes(v1alpha1.ReasonHookFailed)
		}
		s := b.set().Status
		if s.Rollout.Phase != v1alpha1.RolloutRolledBack || len(b.on(first)) != 4 || outcomes(s) != "Succeeded RolledBack" {
			t.Errorf("cut %d: %+v, history %s", cut, s.Rollout, outcomes(s))
		}
		if !dead && cut < 8 {
			t.Errorf("cut %d: no write was cut off", cut)
		}
	}
}

func TestAConflictDoesNotDelayTheOtherPods(t *testing.T) {
	three := intstr.FromInt32(3)
	b := fleet(t, func(s *v1alpha1.DataSetSpec) { s.UpdateStrategy.RollingUpdate.MaxUnavailable = &three })
	refused := ""
	b.refuse = func(o client.Object) error {
		if d, ok := o.(*v1alpha1.Data); ok {
			if refused = cmp.Or(refused, d.Name); refused == d.Name {
				return apierrors.NewConflict(schema.GroupResource{Resource: "datas"}, d.Name, errors.New("it was reported on"))
			}
		}
		return nil
	}
	result, err := b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter != retryAfterConflict {
		t.Fatalf("%+v, %v", result, err)
	}
	b.refuse = nil
	if n := len(b.on(b.set().Status.UpdateRevision)); n != 2 {
		t.Errorf("%d pods are moved, want the 2 without a conflict", n)
	}
}

// Pods that had been moved to a revision in an earlier rollout are not judged by
// what they were like then.
func TestPodsAreNotJudgedByTheBaselineOfAnEarlierRollout(t *testing.T) {
	b := fleet(t, policy(v1alpha1.FailurePolicyRollback))
	second := b.settle("").UpdateRevision
	for _, name := range []string{"a", "b", "c", "d"} {
		b.editPod(name, func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", RestartCount: 7}}
		})
	}
	if s := b.settle(""); s.Rollout.Phase != v1alpha1.RolloutCompleted {
		t.Fatalf("a pod that restarts later fails the rollout that is over: %+v", s.Rollout)
	}
	b.edit("v3")
	b.pass()
	b.edit("v2")
	if s := b.settle(""); s.Rollout.Phase != v1alpha1.RolloutCompleted || len(b.on(second)) != 4 || len(s.Rollout.FailedPods) != 0 {
		t.Errorf("going back: %+v", s.Rollout)
	}
}

func TestAGroupIsFinishedBeforeTheNextBegins(t *testing.T) {
	const zone = "topology.kubernetes.io/zone"
	b := fleet(t, func(s *v1alpha1.DataSetSpec) { s.UpdateStrategy.RollingUpdate.TopologyKey = zone })
	for name, value := range map[string]string{"a": "west", "b": "east", "c": "west"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + name, Labels: map[string]string{zone: value}}}
		if err := b.client.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	groups := map[string]string{"a": "west", "b": "east", "c": "west", "d": ""}
	var order []string
	for b.pass() > 0 {
		for _, name := range b.on(b.set().Status.UpdateRevision) {
			if !slices.Contains(order, name) {
				order = append(order, name)
			}
		}
		b.report("")
	}
	var visited []string
	for _, name := range order {
		if n := len(visited); n > 0 && visited[n-1] == groups[name] {
			continue
		}
		visited = append(visited, groups[name])
	}
	if len(order) != 4 || len(visited) != 3 {
		t.Errorf("pods were moved in the order %v, groups %v", order, visited)
	}
}
