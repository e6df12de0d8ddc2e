// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// scene is a rollout from A to B that has been going for an hour.
type scene struct {
	Input
	t *testing.T
}

func newScene(t *testing.T, states string) *scene {
	start := metav1.NewMicroTime(epoch)
	return &scene{t: t, Input: Input{
		Strategy: rolling("1", ""), ProgressDeadline: 2 * time.Hour,
		Current: Revision{"A", Delivered}, Update: Revision{"B", Assigned},
		State: &v1alpha1.RolloutStatus{
			Revision: "B", Phase: v1alpha1.RolloutProgressing, Reason: v1alpha1.ReasonDelivering,
			StartTime: &start, ProgressTime: &start, StepStartTime: &start,
		},
		Pods: fleet(states), Now: epoch.Add(time.Hour),
	}}
}

// moved gives a pod the health that it had before it was moved.
func (s *scene) moved(i int) *Pod {
	p := &s.Pods[i]
	p.ReadySince, p.DeliveredAt = epoch, epoch
	since := metav1.NewTime(epoch)
	p.Baseline = &v1alpha1.PodHealth{Ready: true, ReadyTransitionTime: &since}
	return p
}

// plan decides, and leaves the state as a manager would.
func (s *scene) plan() Plan {
	p := Decide(s.Input)
	s.State, s.Current.Name = &p.State, p.Current
	return p
}

func (s *scene) expect(phase v1alpha1.RolloutPhase, reason string, moves map[string]int) Plan {
	s.t.Helper()
	p := s.plan()
	got := map[string]int{}
	for _, m := range p.Moves {
		got[m.Revision]++
	}
	if p.State.Phase != phase || p.State.Reason != reason || fmt.Sprint(got) != fmt.Sprint(nonNil(moves)) {
		s.t.Errorf("%s %s, moves %v; want %s %s, moves %v\n%+v", p.State.Phase, p.State.Reason, got, phase, reason, moves, p)
	}
	return p
}

func to(revision string, n int) map[string]int { return map[string]int{revision: n} }

// interrupt has a pod's runtime started again two minutes after the pod was moved.
func interrupt(p *Pod) { p.RuntimeRestarts, p.RuntimeStarted = 1, epoch.Add(2*time.Minute) }

func TestAPodIsJudgedByItsBaseline(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Pod)
		failed bool
	}{
		"healthy":                               {func(*Pod) {}, false},
		"an item failed for good":               {func(p *Pod) { p.Delivered, p.Failed = false, true }, true},
		"not ready any more":                    {func(p *Pod) { p.Ready = false }, true},
		"not ready for a time":                  {func(p *Pod) { p.ReadySince = epoch.Add(time.Minute) }, true},
		"restarted":                             {func(p *Pod) { p.Restarts++ }, true},
		"started with it":                       {func(p *Pod) { p.Baseline, p.Ready = nil, false }, false},
		"was not ready before either":           {func(p *Pod) { p.Baseline.Ready, p.Ready = false, false }, false},
		"was not ready, crashes on":             {func(p *Pod) { p.Baseline.Ready, p.Ready, p.Restarts = false, false, 9 }, false},
		"was not ready, and an item failed too": {func(p *Pod) { p.Baseline.Ready, p.Delivered, p.Failed = false, false, true }, true},
		"has become ready":                      {func(p *Pod) { p.Baseline.Ready, p.ReadySince = false, epoch.Add(time.Minute) }, false},
		"is on its way":                         {func(p *Pod) { p.Delivered = false }, false},
		"times of the same second":              {func(p *Pod) { p.ReadySince = epoch.Add(300 * time.Millisecond) }, false},
		"was restarted before":                  {func(p *Pod) { p.Restarts, p.Baseline.Restarts = 3, 3 }, false},
		"its runtime was killed": {func(p *Pod) {
			p.Ready, p.ReadySince, p.RuntimeDown = false, epoch.Add(time.Minute), true
		}, false},
		"its runtime is back, it is not yet":    {func(p *Pod) { interrupt(p); p.Ready, p.ReadySince = false, epoch.Add(time.Minute) }, false},
		"its runtime is back, and so is it":     {func(p *Pod) { interrupt(p); p.ReadySince = epoch.Add(3 * time.Minute) }, false},
		"its node started all of it again":      {func(p *Pod) { interrupt(p); p.ReadySince, p.Restarts = epoch.Add(3*time.Minute), 1 }, false},
		"turned unready after its runtime came": {func(p *Pod) { interrupt(p); p.Ready, p.ReadySince = false, epoch.Add(3*time.Minute) }, true},
		"an item failed, its runtime is away": {func(p *Pod) {
			p.Ready, p.RuntimeDown, p.Delivered, p.Failed = false, true, false, true
		}, true},
		"its runtime was killed before it moved": {func(p *Pod) {
			interrupt(p)
			p.Baseline.RuntimeRestarts, p.ReadySince = 1, epoch.Add(3*time.Minute)
		}, true},
	} {
		s := newScene(t, "BAA")
		c.change(s.moved(0))
		p := s.plan()
		if failed := len(p.Failed) > 0; failed != c.failed || c.failed != (p.State.Phase == v1alpha1.RolloutStopped) {
			t.Errorf("%s: failed %v, %s: %s", name, p.Failed, p.State.Phase, p.State.Message)
		}
	}
}

func TestAPodCountsAfterMinReadySeconds(t *testing.T) {
	for name, c := range map[string]struct {
		ready, delivered, now time.Duration
		updated               bool
	}{
		"ready for long, delivered just now": {0, time.Hour, time.Hour + 10*time.Second, false},
		"the cut second is not over":         {0, time.Hour, time.Hour + 11*time.Second - time.Millisecond, false},
		"the cut second is over":             {0, time.Hour, time.Hour + 11*time.Second, true},
		"ready after the delivery":           {time.Hour + 5*time.Second, time.Hour, time.Hour + 15*time.Second, false},
	} {
		s := newScene(t, "BAA")
		s.Strategy.RollingUpdate.MinReadySeconds = 10
		p := s.moved(0)
		p.Baseline.Ready = c.ready == 0
		p.ReadySince, p.DeliveredAt, s.Now = epoch.Add(c.ready), epoch.Add(c.delivered), epoch.Add(c.now)
		plan := s.plan()
		if (plan.Updated == 1) != c.updated || (len(plan.Moves) == 1) != c.updated {
			t.Errorf("%s: %d updated, %d moves", name, plan.Updated, len(plan.Moves))
		}
		if want := p.DeliveredAt; !c.updated && (plan.Waits != WaitsForReady || plan.Wake <= 0 ||
			s.Now.Add(plan.Wake).Before(want.Add(11*time.Second))) {
			t.Errorf("%s: waits for %q, wakes after %s", name, plan.Waits, plan.Wake)
		}
	}
}

func TestPodsThatWereNeverReadyDoNotDelayARollout(t *testing.T) {
	s := newScene(t, "BBAAAA")
	for i := range s.Pods {
		s.Pods[i].Ready = false
	}
	for i := range 2 {
		s.moved(i).Baseline.Ready = false
	}
	s.Strategy = rolling("2", "")
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 2))
	// Two that are not delivered yet are the trial: no others follow.
	s.Pods[0].Delivered, s.Pods[1].Delivered = false, false
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, nil)
	for i := range s.Pods {
		s.Pods[i] = Pod{UID: s.Pods[i].UID, Revision: "B", Delivered: true, Baseline: &v1alpha1.PodHealth{}}
	}
	if p := s.expect(v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered, nil); p.Current != "B" || p.Updated != 6 {
		t.Errorf("%+v", p)
	}
}

func TestOnlyAPodUnreadySinceBeforeItsMoveCountsAsUpdated(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Pod)
		moves  map[string]int
	}{
		"not ready since before":       {func(*Pod) {}, to("B", 1)},
		"became ready, and is not now": {func(p *Pod) { p.ReadySince = epoch.Add(time.Minute) }, nil},
		"is not delivered":             {func(p *Pod) { p.Delivered = false }, nil},
	} {
		s := newScene(t, "BAA")
		p := s.moved(0)
		p.Baseline.Ready, p.Ready = false, false
		c.change(p)
		t.Log(name)
		s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, c.moves)
	}
}

func TestAFailureIsHandledByTheFailurePolicy(t *testing.T) {
	for name, c := range map[string]struct {
		policy v1alpha1.FailurePolicy
		change func(*scene)
		phase  v1alpha1.RolloutPhase
		reason string
		moves  map[string]int
	}{
		"default":   {"", nil, v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, nil},
		"pause":     {v1alpha1.FailurePolicyPause, nil, v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, nil},
		"roll back": {v1alpha1.FailurePolicyRollback, nil, v1alpha1.RolloutRollingBack, v1alpha1.ReasonPodsFailed, to("A", 2)},
		"continue":  {v1alpha1.FailurePolicyContinue, nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonPodsFailed, to("B", 1)},
		"continue within maxUnavailable": {v1alpha1.FailurePolicyContinue, func(s *scene) { s.Strategy = rolling("1", "") },
			v1alpha1.RolloutProgressing, v1alpha1.ReasonPodsFailed, nil},
		"fewer than the threshold": {v1alpha1.FailurePolicyRollback, func(s *scene) { s.FailureThreshold = ptr(intstr.FromInt32(2)) },
			v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)},
		"a percentage, rounded up": {v1alpha1.FailurePolicyRollback, func(s *scene) { s.FailureThreshold = ptr(intstr.FromString("21%")) },
			v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)},
		"nothing to go back to": {v1alpha1.FailurePolicyRollback, func(s *scene) { s.Current.Reach, s.Paused = Assigned, true },
			v1alpha1.RolloutProgressing, v1alpha1.ReasonPaused, nil},
		"paused by hand": {v1alpha1.FailurePolicyRollback, func(s *scene) { s.Paused = true },
			v1alpha1.RolloutProgressing, v1alpha1.ReasonPaused, nil},
		"on the way to the stable revision": {v1alpha1.FailurePolicyRollback, func(s *scene) { s.Current.Name = "B" },
			v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)},
		"remembered of a pod that is gone": {v1alpha1.FailurePolicyPause, func(s *scene) {
			s.State.FailedPods, s.Pods[0].Ready = []string{"gone"}, true
		}, v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "BBAAA")
			s.Strategy, s.FailurePolicy = rolling("2", ""), c.policy
			s.moved(0).Ready = false
			s.moved(1)
			if c.change != nil {
				c.change(s)
			}
			p := s.expect(c.phase, c.reason, c.moves)
			if p.Current == "A" && p.New != "A" {
				t.Errorf("new pods get %s", p.New)
			}
		})
	}
}

func TestARollbackEndsAndIsNotRepeated(t *testing.T) {
	s := newScene(t, "BBBA")
	s.FailurePolicy = v1alpha1.FailurePolicyRollback
	s.moved(0).Restarts = 1
	s.moved(1)
	s.moved(2)
	// All three work, so they go one at a time.
	for range 3 {
		p := s.expect(v1alpha1.RolloutRollingBack, v1alpha1.ReasonPodsFailed, to("A", 1))
		i := slices.IndexFunc(s.Pods, func(x Pod) bool { return x.UID == p.Moves[0].UID })
		s.Pods[i].Revision, s.Pods[i].Delivered = "A", false
		s.expect(v1alpha1.RolloutRollingBack, v1alpha1.ReasonPodsFailed, nil)
		s.Pods[i].Delivered = true
	}
	s.expect(v1alpha1.RolloutRolledBack, v1alpha1.ReasonPodsFailed, nil)
	if s.State.EndTime == nil || !slices.Equal(s.State.FailedPods, []string{"pod-0"}) {
		t.Errorf("state: %+v", s.State)
	}
	s.Now = s.Now.Add(48 * time.Hour)
	s.FailurePolicy = v1alpha1.FailurePolicyContinue
	if p := s.expect(v1alpha1.RolloutRolledBack, v1alpha1.ReasonPodsFailed, nil); p.New != "A" || p.Wake != 0 {
		t.Errorf("%+v", p)
	}
	s.Update = Revision{Name: "C"}
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("C", 1))
}

func TestARequestIsHonouredOnce(t *testing.T) {
	stop := func(s *scene) { s.State.Phase, s.State.Reason = v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed }
	steps := []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}, {Pause: &v1alpha1.PauseStep{}}}
	for name, c := range map[string]struct {
		request string
		before  func(*scene)
		phase   v1alpha1.RolloutPhase
		reason  string
		step    int32
		moves   map[string]int
	}{
		"none":             {"", nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, 0, nil},
		"promote":          {"promote B 1", nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, 1, nil},
		"promote fully":    {"promote-full B 1", nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, 2, to("B", 1)},
		"another revision": {"promote C 1", nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, 0, nil},
		"nonsense":         {"promote", nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, 0, nil},
		"honoured already": {"promote B 1", func(s *scene) { s.State.Request = "promote B 1" }, v1alpha1.RolloutProgressing,
			v1alpha1.ReasonStepPaused, 0, nil},
		"older than the rollout": {"promote B 1", func(s *scene) { s.State.Revision = "A" }, v1alpha1.RolloutProgressing,
			v1alpha1.ReasonStepPaused, 0, nil},
		"abort": {"abort B 1", nil, v1alpha1.RolloutRollingBack, v1alpha1.ReasonAborted, 0, to("A", 1)},
		"abort while paused": {"abort B 1", func(s *scene) { s.Paused = true }, v1alpha1.RolloutRollingBack,
			v1alpha1.ReasonAborted, 0, to("A", 1)},
		"abort when stopped":       {"abort B 1", stop, v1alpha1.RolloutRollingBack, v1alpha1.ReasonAborted, 0, to("A", 1)},
		"promote when stopped":     {"promote B 1", stop, v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, 0, nil},
		"retry when all goes well": {"retry B 1", nil, v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, 0, nil},
		"retry when stopped":       {"retry B 1", stop, v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "BAA")
			s.Strategy.Steps, s.Request = steps, c.request
			s.moved(0)
			if c.before != nil {
				c.before(s)
			}
			for range 2 {
				if p := s.expect(c.phase, c.reason, c.moves); p.State.Step != c.step {
					t.Errorf("step %d, want %d", p.State.Step, c.step)
				}
			}
		})
	}
}

// A retry that moves no pod is for the runtimes of pods in which something failed: it is
// taken up whatever holds the rollout.
func TestARetryThatMovesNoPodDoesNotWaitForResume(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*scene)
		taken  bool
	}{
		"progressing": {func(*scene) {}, true},
		"stopped": {func(s *scene) { s.State.Phase, s.State.Reason = v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed },
			false},
	} {
		s := newScene(t, "BAA")
		s.moved(0)
		s.Paused, s.Request = true, "retry B 1"
		c.before(s)
		if p := Decide(s.Input); (p.State.Request == s.Request) != c.taken {
			t.Errorf("%s, and paused: the request is %q", name, p.State.Request)
		}
	}
}

func TestARetryMovesFailedPodsBackFirst(t *testing.T) {
	s := newScene(t, "BBAA")
	s.moved(0).Ready = false
	s.moved(1)
	s.expect(v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, nil)
	s.Request = "retry B 1"
	p := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonRetrying, to("A", 1))
	if p.Moves[0].UID != s.Pods[0].UID {
		t.Errorf("moved %s, which did not fail", p.Moves[0].UID)
	}
	// Killed before the move: it is remembered.
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonRetrying, to("A", 1))
	s.Pods[0].Revision, s.Pods[0].Ready = "A", true
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1))
	if len(s.State.FailedPods) > 0 {
		t.Errorf("failed: %v", s.State.FailedPods)
	}
}

func TestStepsAreTakenInOrder(t *testing.T) {
	value := intstr.FromString("60%")
	s := newScene(t, "AAAAA")
	s.Strategy = rolling("100%", "1")
	s.Strategy.Steps = []v1alpha1.RolloutStep{
		{Analysis: &v1alpha1.AnalysisStep{Interval: &metav1.Duration{Duration: time.Minute}, Count: 2, FailureLimit: 1}},
		{Partition: &value},
		{Pause: &v1alpha1.PauseStep{Duration: &metav1.Duration{Duration: time.Minute}}},
	}
	start := metav1.NewMicroTime(s.Now)
	s.State.StepStartTime = &start

	// The first measurement is due after one interval; until then all are held.
	if p := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonAnalyzing, nil); p.Measure != -1 || p.Wake != time.Minute || p.HeldBack != 5 {
		t.Errorf("%+v", p)
	}
	for i := range 2 {
		s.Now = s.Now.Add(time.Minute)
		if p := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonAnalyzing, nil); p.Measure != 0 || p.Wake != 0 {
			t.Errorf("measurement %d is not due: %+v", i, p)
		}
		s.Measurement = &Measurement{Step: 0, Time: s.Now.Add(7 * time.Nanosecond), OK: i == 0, Message: "0.5"}
		s.plan()
		s.plan() // brought again, counted once
		if a := s.State.Analysis; i == 0 && (a == nil || a.Succeeded != 1 || a.Failed != 0) {
			t.Errorf("analysis: %+v", a)
		}
	}
	if s.State.Step != 1 || s.State.Analysis != nil {
		t.Fatalf("state: %+v", s.State)
	}
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 2))
}

func TestAFailedAnalysisIsHandledByTheFailurePolicy(t *testing.T) {
	for policy, phase := range map[v1alpha1.FailurePolicy]v1alpha1.RolloutPhase{
		v1alpha1.FailurePolicyPause:    v1alpha1.RolloutStopped,
		v1alpha1.FailurePolicyRollback: v1alpha1.RolloutRolledBack,
		v1alpha1.FailurePolicyContinue: v1alpha1.RolloutProgressing,
	} {
		s := newScene(t, "AA")
		s.FailurePolicy = policy
		s.Strategy.Steps = []v1alpha1.RolloutStep{{Analysis: &v1alpha1.AnalysisStep{Count: 5}}}
		s.Measurement = &Measurement{Time: s.Now, Message: "0.9 is too much"}
		p := s.plan()
		if p.State.Phase != phase || policy != v1alpha1.FailurePolicyContinue && !strings.Contains(p.State.Message, "0.9 is too much") {
			t.Errorf("%s: %s %s %q", policy, p.State.Phase, p.State.Reason, p.State.Message)
		}
	}
}

func TestPartitionStepsHoldTheirPodsBack(t *testing.T) {
	most, half := intstr.FromString("80%"), intstr.FromInt32(2)
	s := newScene(t, "AAAAA")
	s.Strategy = rolling("100%", "1")
	s.Strategy.Steps = []v1alpha1.RolloutStep{{Partition: &most}, {Pause: &v1alpha1.PauseStep{}}, {Partition: &half}}
	give := func(p Plan) {
		for _, m := range p.Moves {
			for i := range s.Pods {
				if s.Pods[i].UID == m.UID {
					s.Pods[i].Revision = m.Revision
					s.moved(i)
				}
			}
		}
	}
	give(s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)))
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonStepPaused, nil)
	s.Request = "promote B 1"
	give(s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 2)))
	// The steps are over; rollingUpdate.partition still keeps one.
	give(s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)))
	if p := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonHeldBack, nil); p.Current != "A" || !p.Complete ||
		p.Waits != WaitsForPartition {
		t.Errorf("%+v", p)
	}
	s.Strategy.RollingUpdate.Partition = nil
	give(s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)))
	s.expect(v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered, nil)
}

// firstScene is the first delivery of A, which has been going for an hour.
func firstScene(t *testing.T, states string) *scene {
	s := newScene(t, states)
	s.Current, s.Update = Revision{"A", Assigned}, Revision{"A", Assigned}
	s.State.Revision, s.State.Phase = "A", v1alpha1.RolloutDelivering
	return s
}

func TestAFirstDeliveryEndsWhenEachPodHasAllOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		states string
		change func(*scene)
		phase  v1alpha1.RolloutPhase
		reason string
	}{
		"on the way":             {"Aa", nil, v1alpha1.RolloutDelivering, v1alpha1.ReasonDelivering},
		"a pod failed":           {"A1", nil, v1alpha1.RolloutDelivering, v1alpha1.ReasonDelivering},
		"every pod failed":       {"11", nil, v1alpha1.RolloutDelivering, v1alpha1.ReasonDelivering},
		"every pod has it":       {"AA", nil, v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered},
		"no pods":                {"", nil, v1alpha1.RolloutDelivering, v1alpha1.ReasonNoPods},
		"a pod had it and ended": {"", func(s *scene) { s.Update.Reach = Delivered }, v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered},
		"a pod has not started":  {"a", func(s *scene) { s.Pods[0].NotStarted = true }, v1alpha1.RolloutDelivering, v1alpha1.ReasonNoPods},
		"another has not started": {"Aa", func(s *scene) { s.Pods[1].NotStarted = true },
			v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered},
		"paused":                       {"Aa", func(s *scene) { s.Paused = true }, v1alpha1.RolloutDelivering, v1alpha1.ReasonDelivering},
		"paused, and every pod has it": {"AA", func(s *scene) { s.Paused = true }, v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered},
		"the deadline passed": {"A1", func(s *scene) { s.ProgressDeadline, s.State.Updated = time.Minute, 1 }, v1alpha1.RolloutDelivering,
			v1alpha1.ReasonProgressDeadlineExceeded},
		"the deadline, and a pod came further": {"Aa", func(s *scene) { s.ProgressDeadline = time.Minute }, v1alpha1.RolloutDelivering,
			v1alpha1.ReasonDelivering},
		"the deadline without pods": {"", func(s *scene) { s.ProgressDeadline = time.Minute }, v1alpha1.RolloutDelivering, v1alpha1.ReasonNoPods},
		"status of v0.1.0, no pod had it": {"1", func(s *scene) { s.State.Phase = v1alpha1.RolloutCompleted }, v1alpha1.RolloutDelivering,
			v1alpha1.ReasonDelivering},
		"status of v0.1.0, a pod had it": {"a", func(s *scene) { s.State.Phase, s.Update.Reach = v1alpha1.RolloutCompleted, Delivered },
			v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivering},
		"status of v0.1.0, on the way": {"a", func(s *scene) { s.State.Phase = v1alpha1.RolloutProgressing }, v1alpha1.RolloutDelivering,
			v1alpha1.ReasonDelivering},
		"status without a phase": {"a", func(s *scene) { s.State.Phase = "" }, v1alpha1.RolloutDelivering, v1alpha1.ReasonDelivering},
	} {
		t.Run(name, func(t *testing.T) {
			s := firstScene(t, c.states)
			if c.change != nil {
				c.change(s)
			}
			p := s.expect(c.phase, c.reason, nil)
			succeeded := p.Outcome == v1alpha1.OutcomeSucceeded
			if succeeded != (c.phase == v1alpha1.RolloutCompleted) || p.Current != "A" {
				t.Errorf("outcome %s, stable %s", p.Outcome, p.Current)
			}
			s.expect(c.phase, c.reason, nil)
		})
	}
}

func TestAnEditWithoutPodsIsAFirstDelivery(t *testing.T) {
	s := newScene(t, "")
	s.State, s.Update.Reach = nil, Untried
	p := s.expect(v1alpha1.RolloutDelivering, v1alpha1.ReasonNoPods, nil)
	if p.Current != "B" || p.New != "B" || p.Outcome != v1alpha1.OutcomeRunning {
		t.Errorf("%+v", p)
	}
	s.Current.Reach = Untried
	s.Pods = fleet("b")
	s.expect(v1alpha1.RolloutDelivering, v1alpha1.ReasonDelivering, nil)
	s.Pods = fleet("B")
	if p := s.expect(v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered, nil); p.Outcome != v1alpha1.OutcomeSucceeded {
		t.Errorf("outcome %s", p.Outcome)
	}
}

func TestARevisionThatFailedItsGateHasNotSucceeded(t *testing.T) {
	s := newScene(t, "BB")
	s.FailurePolicy = v1alpha1.FailurePolicyContinue
	s.moved(0).Restarts = 1
	s.moved(1)
	if p := s.expect(v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered, nil); p.Outcome != v1alpha1.OutcomeFailed {
		t.Errorf("outcome %s", p.Outcome)
	}
}

func TestAnAbortNamesItsUser(t *testing.T) {
	for by, want := range map[string]string{"alice": "alice aborted", "": "abort was requested"} {
		s := newScene(t, "BAA")
		s.moved(0)
		s.Request, s.RequestedBy = "abort B 1", by
		if p := s.plan(); p.State.Message != want {
			t.Errorf("%q: %q", by, p.State.Message)
		}
	}
}

func TestAGroupIsBegunAfterTheLastIsFinished(t *testing.T) {
	s := newScene(t, "AAAAAA")
	s.Strategy = rolling("100%", "")
	s.Strategy.RollingUpdate.TopologyKey = "zone"
	for i := range s.Pods {
		s.Pods[i].Group = []string{"west", "east"}[i%2]
	}
	p := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 3))
	for _, m := range p.Moves {
		i := slices.IndexFunc(s.Pods, func(x Pod) bool { return x.UID == m.UID })
		if s.Pods[i].Group != "east" {
			t.Errorf("%s is in %s", m.UID, s.Pods[i].Group)
		}
		s.Pods[i].Revision = "B"
		s.moved(i)
	}
	s.Pods[1].Delivered = false
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, nil)
	s.Pods[1].Delivered = true
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 3))
}

func TestTheDeadlineCountsOnlyWhilePodsAreToBeMoved(t *testing.T) {
	value := intstr.FromInt32(2)
	for name, c := range map[string]struct {
		change func(*scene)
		phase  v1alpha1.RolloutPhase
	}{
		"a pod is stuck":     {func(*scene) {}, v1alpha1.RolloutStopped},
		"roll back":          {func(s *scene) { s.FailurePolicy = v1alpha1.FailurePolicyRollback }, v1alpha1.RolloutRollingBack},
		"continue":           {func(s *scene) { s.FailurePolicy = v1alpha1.FailurePolicyContinue }, v1alpha1.RolloutProgressing},
		"paused":             {func(s *scene) { s.Paused = true }, v1alpha1.RolloutProgressing},
		"just resumed":       {func(s *scene) { s.State.Reason = v1alpha1.ReasonPaused }, v1alpha1.RolloutProgressing},
		"no pods":            {func(s *scene) { s.Pods = nil }, v1alpha1.RolloutProgressing},
		"a pod came further": {func(s *scene) { s.Pods[1].Revision = "B"; s.moved(1) }, v1alpha1.RolloutProgressing},
		"a pod flickers":     {func(s *scene) { s.Pods[1].Revision = "B"; s.moved(1); s.State.Updated = 2 }, v1alpha1.RolloutStopped},
		"in a pause": {func(s *scene) { s.Strategy.Steps = []v1alpha1.RolloutStep{{Pause: &v1alpha1.PauseStep{}}} },
			v1alpha1.RolloutProgressing},
		"held back": {func(s *scene) { s.Pods = fleet("AA"); s.Strategy.RollingUpdate.Partition = &value },
			v1alpha1.RolloutProgressing},
		"the first revision":       {func(s *scene) { s.Current.Name = "" }, v1alpha1.RolloutDelivering},
		"no deadline":              {func(s *scene) { s.ProgressDeadline = 0 }, v1alpha1.RolloutProgressing},
		"one microsecond too soon": {func(s *scene) { s.Now = s.Now.Add(-time.Microsecond) }, v1alpha1.RolloutProgressing},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, "bAA")
			s.moved(0)
			s.Now = epoch.Add(s.ProgressDeadline)
			s.State.Updated = 0
			c.change(s)
			if p := s.plan(); p.State.Phase != c.phase {
				t.Errorf("%s %s %q, want %s", p.State.Phase, p.State.Reason, p.State.Message, c.phase)
			}
		})
	}
}

func TestPodsMoveOnlyAfterTheBytesArePrefetched(t *testing.T) {
	fresh := func(states string) *scene {
		s := newScene(t, states)
		s.State, s.Prefetch = nil, true
		return s
	}
	s := fresh("AAA-")
	if p := s.expect(v1alpha1.RolloutPrefetching, v1alpha1.ReasonPrefetching, nil); p.Prefetch != "B" || p.New != "A" {
		t.Errorf("%+v", p)
	}
	s.Pods[0].Prefetched, s.Pods[1].Prefetched = true, true
	s.expect(v1alpha1.RolloutPrefetching, v1alpha1.ReasonPrefetching, nil)
	s.Pods[2].Prefetched = true
	s.Pods = s.Pods[:3]
	if p := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)); p.Prefetch != "B" {
		t.Errorf("%+v", p)
	}

	s = fresh("AAA")
	s.plan()
	s.Pods[1].PrefetchFailed, s.Pods[1].PrefetchMessage = true, "NotFound"
	if p := s.expect(v1alpha1.RolloutStopped, v1alpha1.ReasonPrefetchFailed, nil); p.Prefetch != "" ||
		!strings.Contains(p.State.Message, "NotFound") {
		t.Errorf("%+v", p)
	}
	s.Request, s.Now = "retry B 1", s.Now.Add(time.Hour)
	if p := s.expect(v1alpha1.RolloutPrefetching, v1alpha1.ReasonPrefetching, nil); p.Prefetch != "B" || p.Wake != retryGrace {
		t.Errorf("%+v", p)
	}
	s.Now = s.Now.Add(retryGrace)
	s.expect(v1alpha1.RolloutStopped, v1alpha1.ReasonPrefetchFailed, nil)

	// One that cannot have it is not waited for, below the threshold.
	s = fresh("AAA")
	s.FailureThreshold = ptr(intstr.FromInt32(2))
	s.plan()
	s.Pods[0].Prefetched, s.Pods[1].PrefetchFailed, s.Pods[2].Prefetched = true, true, true
	s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1))

	// One that is not available is not waited for longer than the deadline.
	s = fresh("AAA")
	s.plan()
	s.Pods[0].Prefetched, s.Pods[1].Prefetched = true, true
	s.Pods[2].Ready = false
	s.plan()
	s.Now = s.Now.Add(s.ProgressDeadline)
	if p := s.plan(); p.State.Phase != v1alpha1.RolloutProgressing {
		t.Errorf("%+v", p)
	}
	s = fresh("AAA")
	s.plan()
	s.Now = s.Now.Add(s.ProgressDeadline)
	s.expect(v1alpha1.RolloutStopped, v1alpha1.ReasonProgressDeadlineExceeded, nil)
}

func TestTheStateStaysWithinTheLimitsOfTheAPI(t *testing.T) {
	s := newScene(t, "")
	for i := range 300 {
		s.Pods = append(s.Pods, Pod{
			UID: types.UID(fmt.Sprint(i)), Name: fmt.Sprintf("pod-%03d", i), Revision: "B", Failed: true,
			FailedMessage: strings.Repeat("é", 5000), Baseline: &v1alpha1.PodHealth{},
		})
	}
	p := s.plan()
	if len(p.State.FailedPods) != maxFailedPods || len(p.Failed) != 300 || len(p.State.Message) > maxMessage ||
		!strings.HasSuffix(p.State.Message, "…") {
		t.Errorf("%d failed in the state, %d in the plan, %d bytes of message", len(p.State.FailedPods), len(p.Failed), len(p.State.Message))
	}
}

func TestAPartitionGivesOldPodsTheUpdateBeforeNewOnes(t *testing.T) {
	s := newScene(t, "BBBBAAAAAAAAAAAA")
	s.Strategy = rolling("100%", "50%")
	old := map[types.UID]bool{}
	for i := range s.Pods {
		s.Pods[i].Born = epoch.Add(-time.Hour)
		if i >= 8 {
			s.Pods[i].Born = epoch.Add(30 * time.Minute)
		}
		old[s.Pods[i].UID] = i < 8
	}
	p := s.plan()
	if len(p.Moves) != 4 || p.HeldBack != 8 {
		t.Fatalf("%d moves and %d held back, want 4 and 8", len(p.Moves), p.HeldBack)
	}
	for _, m := range p.Moves {
		if !old[m.UID] {
			t.Errorf("pod %s is new and was moved", m.UID)
		}
	}
}
