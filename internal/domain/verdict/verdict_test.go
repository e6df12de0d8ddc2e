// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	first  = "models-1"
	second = "models-2"
)

type change func(*v1alpha1.DataSet)

// delivering is a DataSet whose first revision goes to three pods, as a manager of now
// writes it.
func delivering(changes ...change) *v1alpha1.DataSet {
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", Generation: 2},
		Status: v1alpha1.DataSetStatus{
			ObservedGeneration: 2, Replicas: 3, Ready: "0/3", CurrentRevision: first, UpdateRevision: first,
			Rollout: &v1alpha1.RolloutStatus{Revision: first, Phase: v1alpha1.RolloutDelivering},
		},
	}
	condition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonDelivering)(d)
	condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDelivering)(d)
	for _, c := range changes {
		c(d)
	}
	return d
}

// old makes the status one of a manager of v0.1.0.
func old(d *v1alpha1.DataSet) {
	d.Status.Conditions = d.Status.Conditions[1:]
	d.Status.Rollout.Phase = v1alpha1.RolloutCompleted
}

func condition(name string, status metav1.ConditionStatus, reason string) change {
	return func(d *v1alpha1.DataSet) {
		c := metav1.Condition{Type: name, Status: status, Reason: reason, Message: "of " + reason, ObservedGeneration: d.Generation}
		for i := range d.Status.Conditions {
			if d.Status.Conditions[i].Type == name {
				d.Status.Conditions[i] = c
				return
			}
		}
		d.Status.Conditions = append(d.Status.Conditions, c)
	}
}

func in(p v1alpha1.RolloutPhase) change {
	return func(d *v1alpha1.DataSet) { d.Status.Rollout.Phase = p }
}

// counts sets how many pods have their data, carry the runtime, and lack it.
func counts(ready string, success, replicas, uninjected int32) change {
	return func(d *v1alpha1.DataSet) {
		d.Status.Ready, d.Status.Success, d.Status.UpdatedReplicas = ready, success, success
		d.Status.Replicas, d.Status.UninjectedReplicas = replicas, uninjected
	}
}

func delivered(d *v1alpha1.DataSet) {
	in(v1alpha1.RolloutCompleted)(d)
	counts("3/3", 3, 3, 0)(d)
	condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDelivered)(d)
}

func updating(steps ...v1alpha1.RolloutStep) change {
	return func(d *v1alpha1.DataSet) {
		d.Status.UpdateRevision, d.Status.Rollout.Revision = second, second
		d.Status.Rollout.Phase = v1alpha1.RolloutProgressing
		d.Spec.UpdateStrategy.Steps = steps
	}
}

func edited(d *v1alpha1.DataSet) { d.Generation++ }

// pod is one whose item has a phase and a reason.
func pod(name, revision string, phase v1alpha1.DataPhase, reason string) *v1alpha1.Data {
	return &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Name: "models-" + name},
		Spec:       v1alpha1.DataSpec{PodName: name, Revision: revision},
		Status: v1alpha1.DataStatus{ObservedRevision: revision, DataItemsStatus: []v1alpha1.DataItemStatus{
			{Namespace: "default", Name: "words", Phase: phase, Reason: reason, Message: "models/v9: nothing is there"},
		}},
	}
}

// stalled is what the manager says of what needs help.
func stalled(reason string) change {
	return condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason)
}

func progressing(reason string) change {
	return condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reason)
}

// observed says that the manager has looked at the present spec, and written no condition.
func observed(d *v1alpha1.DataSet) { d.Status.ObservedGeneration = d.Generation }

func paused(d *v1alpha1.DataSet) { d.Spec.Paused = true }

// judged is a DataSet with its Data, and the verdict on it.
type judged struct {
	changes []change
	data    []*v1alpha1.Data
	want    State
	says    string
}

func (j judged) check(t *testing.T) {
	t.Helper()
	v := Judge(delivering(j.changes...), j.data)
	if v.State != j.want || !strings.Contains(v.Message, j.says) {
		t.Errorf("got %+v; want %s that says %q", v, j.want, j.says)
	}
}

func TestAFirstDeliveryIsJudgedByWhatThePodsHave(t *testing.T) {
	failed := []*v1alpha1.Data{
		pod("web-1", first, v1alpha1.DataFailed, v1alpha1.ReasonNotFound), pod("web-0", first, v1alpha1.DataFailed, v1alpha1.ReasonNotFound),
		pod("web-2", first, v1alpha1.DataDownloading, v1alpha1.ReasonDownloading),
	}
	passing := []*v1alpha1.Data{pod("web-0", first, v1alpha1.DataFailed, v1alpha1.ReasonSourceUnreachable)}
	ofAnother := []*v1alpha1.Data{pod("web-0", second, v1alpha1.DataFailed, v1alpha1.ReasonNotFound)}
	stranger := pod("web-0", first, v1alpha1.DataSuccess, "")
	stranger.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown,
		Reason: v1alpha1.ReasonAuthorityChanged, Message: "restart it"}}
	moving := condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDelivering)
	lacking := condition(v1alpha1.ConditionInjected, metav1.ConditionFalse, "X")
	for name, test := range map[string]judged{
		"first delivery":                            {nil, nil, Running, "0 of 3 pods have it"},
		"delivered":                                 {[]change{delivered}, nil, Done, "3 of 3 pods have it"},
		"delivered by an old manager":               {[]change{old, delivered}, nil, Done, "3 of 3"},
		"an old manager says so at once":            {[]change{old}, nil, Running, "0 of 3"},
		"completed before, a new pod is on its way": {[]change{delivered, counts("3/4", 3, 4, 0), moving}, nil, Running, "3 of 4"},
		"condition Ready of the spec before":        {[]change{delivered, edited, observed}, nil, Running, ""},

		"pods failed":                   {nil, failed, Blocked, "2 pods failed, the first: pod web-0, item default/words: models/v9: nothing"},
		"pods failed, old manager":      {[]change{old}, failed, Blocked, "2 pods failed"},
		"a failure that may pass":       {nil, passing, Running, ""},
		"a failure of another revision": {nil, ofAnother, Running, ""},
		"a failure of a pod that ended": {[]change{delivered}, failed, Done, ""},
		"another authority":             {nil, []*v1alpha1.Data{stranger}, Blocked, "pod web-0: restart it"},

		"no pod matches":                 {[]change{counts("0/0", 0, 0, 0)}, nil, NoPods, "namespace shop"},
		"no pod matches, old manager":    {[]change{old, counts("0/0", 0, 0, 0)}, nil, NoPods, ""},
		"no pod carries the runtime":     {[]change{counts("0/2", 0, 0, 2)}, nil, Blocked, "2 of 2 pods do not carry the runtime"},
		"one of two lacks the runtime":   {[]change{delivered, counts("1/2", 1, 1, 1)}, nil, Blocked, "1 of 2 pods do not"},
		"the same of an old manager":     {[]change{old, delivered, counts("1/1", 1, 1, 1)}, nil, Blocked, "1 of 2 pods do not"},
		"the other one is opted out":     {[]change{delivered, counts("1/1", 1, 1, 1)}, nil, Done, "1 of 1"},
		"restarted to get the runtime":   {[]change{counts("1/3", 1, 2, 1)}, nil, Running, "1 of 3"},
		"why they lack it is in the end": {[]change{counts("0/1", 0, 0, 1), lacking}, nil, Blocked, ": of X"},
	} {
		t.Run(name, test.check)
	}
}

func TestADeliveryIsJudgedByThePresentSpec(t *testing.T) {
	applied := func(d *v1alpha1.DataSet) { d.Status = v1alpha1.DataSetStatus{ObservedGeneration: -1} }
	fresh := func(d *v1alpha1.DataSet) { d.Status = v1alpha1.DataSetStatus{} }
	for name, test := range map[string]judged{
		"just applied":              {[]change{applied}, nil, Unobserved, "has not looked at the DataSet yet"},
		"applied to an old manager": {[]change{fresh}, nil, Unobserved, "not looked"},
		"edited":                    {[]change{delivered, edited}, nil, Unobserved, "generation 3 yet, but at 2"},
		"no rollout was begun":      {[]change{func(d *v1alpha1.DataSet) { d.Status.Rollout = nil }}, nil, Unobserved, ""},
		"rollout of the one before": {[]change{delivered, func(d *v1alpha1.DataSet) { d.Status.UpdateRevision = second }}, nil, Unobserved, ""},
		"stalled before":            {[]change{stalled("X"), edited, observed}, nil, Running, ""},
	} {
		t.Run(name, test.check)
	}
}

func TestARolloutIsJudgedByItsOwnGate(t *testing.T) {
	pause := v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{}}
	timed := v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Duration: &metav1.Duration{Duration: time.Minute}}}
	failed := []*v1alpha1.Data{pod("web-0", second, v1alpha1.DataFailed, v1alpha1.ReasonNotFound)}
	message := func(d *v1alpha1.DataSet) { d.Status.Rollout.Message = "1 of 1 pods failed" }
	settled := condition(v1alpha1.ConditionReconciling, metav1.ConditionFalse, "X")
	for name, test := range map[string]judged{
		"a pod failed":             {[]change{updating()}, failed, Running, ""},
		"stopped":                  {[]change{updating(), in(v1alpha1.RolloutStopped), message}, nil, Failed, "1 of 1 pods failed"},
		"rolled back":              {[]change{updating(), in(v1alpha1.RolloutRolledBack)}, nil, Failed, "the rollout failed"},
		"on the way back":          {[]change{updating(), in(v1alpha1.RolloutRollingBack)}, nil, Running, "go back"},
		"cannot go back":           {[]change{updating(), in(v1alpha1.RolloutRollingBack), stalled("X")}, nil, Failed, "of X"},
		"stalled":                  {[]change{stalled(v1alpha1.ReasonDeliveryFailed)}, nil, Failed, "of DeliveryFailed"},
		"a write was refused":      {[]change{stalled(v1alpha1.ReasonWriteRefused)}, nil, Blocked, "of WriteRefused"},
		"out of time, old manager": {[]change{old, updating(), progressing(v1alpha1.ReasonProgressDeadlineExceeded)}, nil, Failed, ""},

		"rolled out":                     {[]change{updating()}, nil, Running, ""},
		"paused":                         {[]change{updating(), paused}, nil, Held, "spec.paused"},
		"paused when it was done":        {[]change{delivered, paused}, nil, Done, ""},
		"settled before it was complete": {[]change{delivered, in(v1alpha1.RolloutDelivering), paused, settled}, nil, Done, "3 of 3"},
		"not settled yet":                {[]change{delivered, in(v1alpha1.RolloutDelivering)}, nil, Running, ""},
		"at a pause":                     {[]change{updating(pause)}, nil, Held, "step 1 of 1 is a pause"},
		"at a pause that ends":           {[]change{updating(timed)}, nil, Running, ""},
		"held back at a step":            {[]change{updating(timed), progressing(v1alpha1.ReasonHeldBack)}, nil, Running, ""},
	} {
		t.Run(name, test.check)
	}
}

func TestARolloutThatIsHeldBackIsDoneWhenItsPodsHaveTheirData(t *testing.T) {
	held := progressing(v1alpha1.ReasonHeldBack)
	ready := condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonHeldBack)
	ofStable := []*v1alpha1.Data{pod("a", first, v1alpha1.DataFailed, v1alpha1.ReasonNotFound)}
	for name, test := range map[string]judged{
		"held back":                          {[]change{updating(), held, ready}, nil, Done, "keeps the others"},
		"a pod is on its way":                {[]change{updating(), held, counts("2/3", 2, 3, 0)}, nil, Running, "of 3 pods"},
		"a pod of the stable revision fails": {[]change{updating(), held, counts("2/3", 2, 3, 0)}, ofStable, Blocked, "pod a"},
		"a pod has no runtime":               {[]change{updating(), held, counts("2/3", 2, 2, 1)}, nil, Blocked, "do not carry the runtime"},
	} {
		t.Run(name, test.check)
	}
}

func TestCompletedIsSaidOnlyOfPodsThatHaveTheirData(t *testing.T) {
	for name, test := range map[string]struct {
		changes []change
		want    v1alpha1.RolloutPhase
	}{
		"delivered":           {[]change{delivered}, v1alpha1.RolloutCompleted},
		"said by an old one":  {[]change{old}, v1alpha1.RolloutDelivering},
		"scaled to nothing":   {[]change{delivered, counts("0/0", 0, 0, 0)}, v1alpha1.RolloutCompleted},
		"of the spec before":  {[]change{delivered, edited}, PhasePending},
		"stopped":             {[]change{updating(), in(v1alpha1.RolloutStopped)}, v1alpha1.RolloutStopped},
		"never looked at yet": {[]change{func(d *v1alpha1.DataSet) { d.Status = v1alpha1.DataSetStatus{} }}, PhasePending},
	} {
		d := delivering(test.changes...)
		if got := Phase(d, Judge(d, nil)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
