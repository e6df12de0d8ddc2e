// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/cli/golden"
	"github.com/kuda-io/kuda/internal/insight/status"
)

const (
	oldRevision = "models-aaaa000000"
	newRevision = "models-bbbb000000"
	gib         = int64(1) << 30
)

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) *metav1.MicroTime {
	t := metav1.NewMicroTime(start.Add(d))
	return &t
}

// models is a DataSet in the middle of a rollout with steps.
func models(change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	partition := intstr.FromString("50%")
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: "models", Namespace: "shop", Generation: 3},
		Spec: v1alpha1.DataSetSpec{UpdateStrategy: v1alpha1.UpdateStrategy{Steps: []v1alpha1.RolloutStep{
			{Partition: &partition}, {Pause: &v1alpha1.PauseStep{}},
		}}},
		Status: v1alpha1.DataSetStatus{
			Ready: "5/7", Replicas: 7, Success: 5, UpdatedReplicas: 2, ObservedGeneration: 3,
			CurrentRevision: oldRevision, UpdateRevision: newRevision,
			Rollout: &v1alpha1.RolloutStatus{
				Revision: newRevision, Phase: v1alpha1.RolloutProgressing,
				StartTime: at(-3 * time.Minute), ProgressTime: at(-time.Minute),
			},
			History: []v1alpha1.RolloutRecord{
				{Revision: oldRevision, Number: 6, Outcome: v1alpha1.OutcomeSucceeded, ChangeCause: "first weights"},
				{Revision: newRevision, Number: 7, Outcome: v1alpha1.OutcomeRunning, ChangeCause: "new weights",
					ChangedBy: new("alice"), By: "kubectl"},
			},
		},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func phase(p v1alpha1.RolloutPhase, reason, message string) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) {
		d.Status.Rollout.Phase, d.Status.Rollout.Reason, d.Status.Rollout.Message = p, reason, message
	}
}

// delivered is a rollout that ended well.
func delivered(d *v1alpha1.DataSet) {
	phase(v1alpha1.RolloutCompleted, "", "")(d)
	d.Status.Ready, d.Status.Success, d.Status.UpdatedReplicas = "7/7", 7, 7
	ready(d)
}

// ready says that every pod has the revision it is to have.
func ready(d *v1alpha1.DataSet) {
	d.Status.Conditions = append(d.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonDelivered, ObservedGeneration: d.Generation})
}

func progressing(reason, message string) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) {
		d.Status.Conditions = append(d.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: d.Generation,
		})
	}
}

func atIndex(step int32) func(*v1alpha1.DataSet) {
	return func(d *v1alpha1.DataSet) { d.Status.Rollout.Step = step }
}

func item(name string, phase v1alpha1.DataPhase, reason string, bytes, total int64) v1alpha1.DataItemStatus {
	return v1alpha1.DataItemStatus{Name: name, Namespace: "default", Version: "v2", Phase: phase, Reason: reason,
		Bytes: bytes, TotalBytes: total}
}

// data is what a pod has; it counts its items.
func data(pod, node, revision, sees string, items ...v1alpha1.DataItemStatus) *v1alpha1.Data {
	d := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Name: "models-" + pod, Namespace: "shop", Labels: map[string]string{v1alpha1.LabelDataSet: "models"}},
		Spec:       v1alpha1.DataSpec{PodName: pod, Revision: revision, DataItems: make([]v1alpha1.DataItem, len(items))},
		Status: v1alpha1.DataStatus{
			NodeName: node, ObservedRevision: revision, CurrentRevision: sees, DataItems: int32(len(items)), DataItemsStatus: items,
		},
	}
	for _, i := range items {
		switch i.Phase {
		case v1alpha1.DataSuccess:
			d.Status.Success++
		case v1alpha1.DataFailed:
			d.Status.Failed++
		}
	}
	return d
}

func done(pod, node, revision string) *v1alpha1.Data {
	return data(pod, node, revision, revision,
		item("weights", v1alpha1.DataSuccess, "", 4*gib, 4*gib), item("vocabulary", v1alpha1.DataSuccess, "", 1<<20, 1<<20))
}

func moved(d *v1alpha1.Data) *v1alpha1.Data {
	d.Spec.Baseline = &v1alpha1.PodHealth{Ready: true}
	return d
}

func unheard(d *v1alpha1.Data) *v1alpha1.Data {
	d.Status = v1alpha1.DataStatus{NodeName: d.Status.NodeName}
	return d
}

func fleet() []*v1alpha1.Data {
	return []*v1alpha1.Data{
		moved(done("web-0", "node-a", newRevision)),
		moved(done("web-1", "node-b", newRevision)),
		moved(data("web-2", "node-a", newRevision, oldRevision,
			item("weights", v1alpha1.DataDownloading, v1alpha1.ReasonDownloading, 3*gib, 4*gib),
			item("vocabulary", v1alpha1.DataSuccess, "", 1<<20, 1<<20))),
		moved(data("web-3", "node-b", newRevision, oldRevision,
			item("weights", v1alpha1.DataFailed, v1alpha1.ReasonDigestMismatch, 4*gib, 4*gib),
			item("vocabulary", v1alpha1.DataWaiting, v1alpha1.ReasonWaiting, 0, 1<<20))),
		done("web-4", "node-a", oldRevision),
		done("web-5", "node-b", oldRevision),
		unheard(done("web-6", "node-c", oldRevision)),
	}
}

func build(d *v1alpha1.DataSet, fleet []*v1alpha1.Data) status.View {
	return status.Build(status.Input{DataSet: d, Data: fleet, Now: start, Program: "kubectl kuda"})
}

func TestEveryStateOfAPodIsTold(t *testing.T) {
	prefetching := func(d *v1alpha1.Data, s *v1alpha1.PrefetchStatus) *v1alpha1.Data {
		d.Spec.PrefetchRevision, d.Status.Prefetch = newRevision, s
		return d
	}
	withdrawn := done("p", "n", oldRevision)
	withdrawn.Spec.Withdraw = true
	withdrawn.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonWithdrawn}}
	loading := item("weights", v1alpha1.DataDownloading, "", 1, 2)
	for name, test := range map[string]struct {
		data *v1alpha1.Data
		want status.State
	}{
		"delivered on the update revision": {done("p", "n", newRevision), status.Updated},
		"delivered on the stable one":      {done("p", "n", oldRevision), status.Stable},
		"moved, on its way":                {moved(data("p", "n", newRevision, oldRevision, loading)), status.Updating},
		"moved, switched, hook runs": {moved(data("p", "n", newRevision, newRevision,
			item("w", v1alpha1.DataDownloading, v1alpha1.ReasonHookPending, 2, 2))), status.Updating},
		"moved back":              {data("p", "n", oldRevision, newRevision, loading), status.Returning},
		"new, first delivery":     {data("p", "n", oldRevision, "", loading), status.Delivering},
		"an item failed":          {moved(data("p", "n", newRevision, oldRevision, item("w", v1alpha1.DataFailed, "", 1, 2))), status.Failed},
		"got worse by the switch": {moved(done("worse", "n", newRevision)), status.Failed},
		"worse once, and back":    {done("worse", "n", oldRevision), status.Stable},
		"never reported":          {unheard(done("p", "n", oldRevision)), status.Connecting},
		"told to prefetch":        {prefetching(done("p", "n", oldRevision), nil), status.Prefetching},
		"prefetch of an earlier revision": {prefetching(done("p", "n", oldRevision),
			&v1alpha1.PrefetchStatus{Revision: "models-x", Phase: v1alpha1.DataSuccess}), status.Prefetching},
		"prefetched": {prefetching(done("p", "n", oldRevision),
			&v1alpha1.PrefetchStatus{Revision: newRevision, Phase: v1alpha1.DataSuccess}), status.Prefetched},
		"prefetch failed": {prefetching(done("p", "n", oldRevision),
			&v1alpha1.PrefetchStatus{Revision: newRevision, Phase: v1alpha1.DataFailed}), status.Failed},
		"taken out of the view": {withdrawn, status.Withdrawn},
		"told another, runtime has not heard": {func() *v1alpha1.Data {
			d := moved(done("p", "n", oldRevision))
			d.Spec.Revision = newRevision
			return d
		}(), status.Updating},
	} {
		t.Run(name, func(t *testing.T) {
			d := models(func(d *v1alpha1.DataSet) { d.Status.Rollout.FailedPods = []string{"worse"} })
			if got := build(d, []*v1alpha1.Data{test.data}).Pods[0].State; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhatARolloutWaitsForIsSaid(t *testing.T) {
	seconds := func(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Second} }
	for name, test := range map[string]struct {
		change []func(*v1alpha1.DataSet)
		want   string
	}{
		"the manager": {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Generation++ }},
			"the manager to look at the last change of the DataSet"},
		"partition": {nil, "the pods that partition 50% lets go to be updated (2 of 7 are)"},
		"promote":   {[]func(*v1alpha1.DataSet){atIndex(1)}, "kubectl kuda promote models"},
		"resume":    {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Spec.Paused = true }}, "kubectl kuda resume models"},
		"bytes": {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutPrefetching, "", "")},
			"the bytes of the revision on the nodes (2 of 7 pods have them)"},
		"decision": {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutStopped, "", "")},
			"a decision: kubectl kuda retry models, kubectl kuda undo models or kubectl kuda abort models"},
		"pods back": {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutRollingBack, "", "")}, "the moved pods to be back"},
		"another": {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutRolledBack, "", "")},
			"another template, or kubectl kuda retry models"},
		"nothing": {[]func(*v1alpha1.DataSet){delivered}, ""},
		"the first delivery": {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutDelivering, "", ""), func(d *v1alpha1.DataSet) {
			d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse,
				Reason: v1alpha1.ReasonDelivering, Message: "5/7 pods have their data; pod web-2: Downloading"}}
		}}, "the pods to have their data: 5/7 pods have their data; pod web-2: Downloading"},
		"a pod": {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Status.Replicas = 0 }},
			"a pod that carries all labels of spec.workloadSelector (status -w --allow-no-pods accepts none)"},
		"held back": {[]func(*v1alpha1.DataSet){atIndex(2), progressing(v1alpha1.ReasonHeldBack, "held")},
			"nothing more: spec.updateStrategy keeps the other pods where they are"},
		"pods after all": {[]func(*v1alpha1.DataSet){atIndex(2), progressing(v1alpha1.ReasonDelivering, "2 of 7 pods")},
			"the pods to be updated: 2 of 7 pods"},
		"timed pause": {[]func(*v1alpha1.DataSet){atIndex(1), func(d *v1alpha1.DataSet) {
			d.Spec.UpdateStrategy.Steps[1].Pause.Duration = seconds(300)
			d.Status.Rollout.StepStartTime = at(-time.Minute)
		}}, "the end of the pause in 4m, or kubectl kuda promote models"},
		"pause gone over": {[]func(*v1alpha1.DataSet){atIndex(1), func(d *v1alpha1.DataSet) {
			d.Spec.UpdateStrategy.Steps[1].Pause.Duration = seconds(30)
			d.Status.Rollout.StepStartTime = at(-time.Minute)
		}}, "the end of the pause in 0s, or kubectl kuda promote models"},
		"measurements": {[]func(*v1alpha1.DataSet){atIndex(1), func(d *v1alpha1.DataSet) {
			d.Spec.UpdateStrategy.Steps[1] = v1alpha1.RolloutStep{Analysis: &v1alpha1.AnalysisStep{Count: 5, FailureLimit: 2}}
			d.Status.Rollout.Analysis = &v1alpha1.AnalysisStatus{Succeeded: 2, Failed: 1, Message: "0.3 < 0.01 is false"}
		}}, "measurements: 3 of 5 taken, 1 failed (2 may); the last: 0.3 < 0.01 is false"},
	} {
		t.Run(name, func(t *testing.T) {
			if v := build(models(test.change...), fleet()); v.Waits != test.want {
				t.Errorf("got  %q\nwant %q", v.Waits, test.want)
			}
		})
	}
}

func TestFollowingEndsWithTheRolloutAndNotBefore(t *testing.T) {
	for name, test := range map[string]struct {
		change       []func(*v1alpha1.DataSet)
		over, failed bool
	}{
		"running":   {nil, false, false},
		"completed": {[]func(*v1alpha1.DataSet){delivered}, true, false},
		"completed, as an old manager says at once": {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutCompleted, "", "")}, false, false},
		"just applied": {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) {
			d.Status = v1alpha1.DataSetStatus{ObservedGeneration: -1}
		}}, false, false},
		"stopped":                         {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutStopped, "", "")}, true, true},
		"on the way back":                 {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutRollingBack, "", "")}, false, false},
		"rolled back":                     {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutRolledBack, "", "")}, true, true},
		"held back by a step":             {[]func(*v1alpha1.DataSet){progressing(v1alpha1.ReasonHeldBack, "")}, false, false},
		"held back by partition":          {[]func(*v1alpha1.DataSet){atIndex(2), progressing(v1alpha1.ReasonHeldBack, ""), ready}, true, false},
		"held back, a pod lacks its data": {[]func(*v1alpha1.DataSet){atIndex(2), progressing(v1alpha1.ReasonHeldBack, "")}, false, false},
		"completed, edited since": {[]func(*v1alpha1.DataSet){delivered,
			func(d *v1alpha1.DataSet) { d.Generation++ }}, false, false},
		"of an earlier revision": {[]func(*v1alpha1.DataSet){delivered,
			func(d *v1alpha1.DataSet) { d.Status.Rollout.Revision = oldRevision }}, false, false},
		"no rollout was begun": {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Status.Rollout = nil }}, false, false},
		"an old verdict held it": {[]func(*v1alpha1.DataSet){atIndex(2), progressing(v1alpha1.ReasonHeldBack, ""),
			func(d *v1alpha1.DataSet) { d.Generation++ }}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := build(models(test.change...), nil)
			if v.HasEnded() != test.over || v.HasFailed() != test.failed {
				t.Errorf("got ended %t, failed %t; want %t, %t", v.HasEnded(), v.HasFailed(), test.over, test.failed)
			}
		})
	}
}

func TestTheDeadlineIsShownOnlyWhilePodsAreUpdated(t *testing.T) {
	runs := start.Add(-time.Minute).Add(600 * time.Second)
	for name, test := range map[string]struct {
		change []func(*v1alpha1.DataSet)
		want   *time.Time
	}{
		"runs":      {nil, &runs},
		"paused":    {[]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) { d.Spec.Paused = true }}, nil},
		"pause":     {[]func(*v1alpha1.DataSet){atIndex(1)}, nil},
		"held back": {[]func(*v1alpha1.DataSet){atIndex(2), progressing(v1alpha1.ReasonHeldBack, "")}, nil},
		"stopped":   {[]func(*v1alpha1.DataSet){phase(v1alpha1.RolloutStopped, "", "")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := build(models(test.change...), nil)
			var got *time.Time
			if v.Deadline != nil {
				got = &v.Deadline.Time
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheViewOfARolloutFitsTheScreen(t *testing.T) {
	measured := func(d *v1alpha1.DataSet) status.View {
		var m status.Meter
		early := fleet()
		early[2].Status.DataItemsStatus[0].Bytes = 2 * gib
		before := status.Build(status.Input{DataSet: d, Data: early, Now: start.Add(-8 * time.Second), Program: "kubectl kuda"})
		m.Measure(&before, start.Add(-8*time.Second))
		v := build(d, fleet())
		m.Measure(&v, start)
		return v
	}
	stopped := models(phase(v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, "1 of 1 pods failed: web-3"), func(d *v1alpha1.DataSet) {
		d.Status.Rollout.EndTime = at(-20 * time.Second)
		d.Status.Conditions = append(d.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionInjected, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPodsNotInjected,
			Message: "2 matching pods lack the runtime"})
	})
	chinese := models(phase(v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, "词典/模型一.bin: 文件不存在，请检查路径"))
	lost := fleet()
	lost[3].Spec.DataItems[0] = v1alpha1.DataItem{Namespace: "default", Name: "weights", RemotePath: "模型/第九版/词典一.bin"}
	lost[3].Status.DataItemsStatus[0].Reason = v1alpha1.ReasonNotFound
	lost[3].Status.DataItemsStatus[0].Message = "s3://models/模型/第九版/词典一.bin: nothing is stored there; correct remotePath, or store it"
	for name, test := range map[string]struct {
		d    *v1alpha1.DataSet
		look Look
	}{
		"plain":    {models(), Look{Pods: defaultPods}},
		"wide":     {models(), Look{Wide: true}},
		"few":      {models(), Look{Pods: 3}},
		"live":     {models(), Look{Bars: true, Screen: frame.Screen{Live: true, Width: 160, Height: 30}}},
		"narrow":   {models(), Look{Bars: true, Screen: frame.Screen{Live: true, Width: 60, Height: 14}}},
		"color":    {stopped, Look{Bars: true, Screen: frame.Screen{Live: true, Color: true, Width: 120, Height: 30}}},
		"stopped":  {stopped, Look{}},
		"chinese":  {chinese, Look{Bars: true, Screen: frame.Screen{Live: true, Width: 80, Height: 30}}},
		"tiny":     {chinese, Look{Bars: true, Screen: frame.Screen{Live: true, Width: 24, Height: 30}}},
		"lost-120": {chinese, Look{Pods: 3, Screen: frame.Screen{Width: 120}}},
		"lost-80":  {chinese, Look{Pods: 3, Screen: frame.Screen{Width: 80}}},
		"lost-24":  {chinese, Look{Pods: 3, Screen: frame.Screen{Width: 24}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := measured(test.d)
			if strings.HasPrefix(name, "lost") {
				v = build(test.d, lost)
			}
			test.look.Now = start
			lines := Render(&v, test.look)
			for _, line := range lines {
				if w := frame.PaintedWidth(line); test.look.Screen.Width > 0 && w > test.look.Screen.Width {
					t.Errorf("line of %d cells on a screen of %d: %q", w, test.look.Screen.Width, line)
				}
			}
			if h := test.look.Screen.Height; h > 0 && len(lines) >= h {
				t.Errorf("%d lines on a screen of %d", len(lines), h)
			}
			golden.Compare(t, name+".txt", strings.Join(lines, "\n")+"\n")
		})
	}
}

func TestThousandsOfPodsFitTheScreenAndThoseThatMoveComeFirst(t *testing.T) {
	var many []*v1alpha1.Data
	for i := range 5000 {
		many = append(many, done(fmt.Sprintf("web-%04d", i), "n", oldRevision))
	}
	many = append(many, fleet()[2])
	v := build(models(), many)
	screen := frame.Screen{Live: true, Width: 100, Height: 24}
	lines := Render(&v, Look{Screen: screen, Now: start, Bars: true})
	if len(lines) >= screen.Height {
		t.Errorf("%d lines on a screen of %d", len(lines), screen.Height)
	}
	text := strings.Join(lines, "\n")
	if first := strings.Index(text, "web-2 "); first < 0 || first > strings.Index(text, "web-0000") {
		t.Errorf("the pod that moves is not the first:\n%s", text)
	}
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "and 49") || !strings.HasSuffix(last, "stable") {
		t.Errorf("the last line sums up the rest, got %q", last)
	}
}

func TestRatesAreSmoothedAndStartAnewWithAnotherDownload(t *testing.T) {
	var m status.Meter
	var got []int64
	for second, bytes := range []int64{0, 0, 400, 400, 800, 100, 300} {
		v := status.View{Pods: []status.Pod{{Name: "p", State: status.Updating, Progress: status.Progress{Bytes: bytes, Total: 1000}}}}
		m.Measure(&v, start.Add(time.Duration(second)*time.Second))
		got = append(got, v.Pods[0].Progress.Rate)
	}
	if diff := cmp.Diff([]int64{0, 0, 200, 133, 200, 0, 200}, got); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
	v := status.View{Pods: []status.Pod{{Name: "p", State: status.Updating, Progress: status.Progress{Bytes: 300, Total: 1000}}}}
	m.Measure(&v, start.Add(time.Minute))
	m.Measure(&v, start.Add(2*time.Minute))
	if p := v.Pods[0].Progress; p.Rate != 0 || p.Left != 0 {
		t.Errorf("a download that stands has rate %d and %d s left", p.Rate, p.Left)
	}
}

func TestWithoutATerminalEachChangeIsOneLine(t *testing.T) {
	var out bytes.Buffer
	now := start
	p := &protocol{command: &command{Frame: &frame.Frame{Streams: frame.Streams{Out: &out}, Now: func() time.Time { return now }}}}
	show := func(d *v1alpha1.DataSet, f []*v1alpha1.Data, trouble string) {
		v := build(d, f)
		p.showView(&v, trouble)
		now = now.Add(time.Second)
	}
	show(models(), fleet(), "")
	show(models(), fleet(), "")
	further := fleet()
	further[2] = moved(done("web-2", "node-a", newRevision))
	show(models(atIndex(1), func(d *v1alpha1.DataSet) { d.Status.UpdatedReplicas = 3 }), further, "")
	show(models(atIndex(1), func(d *v1alpha1.DataSet) { d.Status.UpdatedReplicas = 3 }), further, "not up to date since 3s: refused")
	show(models(phase(v1alpha1.RolloutRolledBack, v1alpha1.ReasonAborted, "aborted by request"),
		func(d *v1alpha1.DataSet) { d.Status.UpdatedReplicas = 0 }), further[:6], "")
	golden.Compare(t, "protocol.txt", out.String())
}

func TestDataSetsAreListedInATable(t *testing.T) {
	items := []v1alpha1.DataSet{
		*models(),
		*models(phase(v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, "1 of 1 pods failed"),
			func(d *v1alpha1.DataSet) { d.Namespace = "bank" }),
		*models(delivered, func(d *v1alpha1.DataSet) { d.Name, d.Status.CurrentRevision = "rules", newRevision }),
		*models(phase(v1alpha1.RolloutCompleted, "", ""), func(d *v1alpha1.DataSet) {
			d.Name, d.Status.CurrentRevision, d.Status.Ready, d.Status.UpdatedReplicas = "wrong", newRevision, "0/7", 0
			d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse,
				Reason: v1alpha1.ReasonDeliveryFailed, Message: "pod web-0, item default/weights: NotFound"}}
		}),
		*models(func(d *v1alpha1.DataSet) { d.Name, d.Spec.Paused, d.Status.History = "paused", true, nil }),
		{ObjectMeta: metav1.ObjectMeta{Name: "fresh", Namespace: "shop", Generation: 1}},
	}
	ages := map[string]time.Duration{"shop/models": time.Hour, "bank/models": 48 * time.Hour}
	for name, wide := range map[string]bool{"table.txt": false, "table-wide.txt": true} {
		var out bytes.Buffer
		if err := summaryTable(status.Summaries(items, start, "kubectl kuda"), ages, true, wide).Write(&out, frame.Screen{}); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name, out.String())
	}
}

func TestEachViewIsDrawnOverTheLast(t *testing.T) {
	var out bytes.Buffer
	c := canvas{out: &out}
	c.drawLines([]string{"12345678", "b"}, 10)
	out.Reset()
	c.drawLines([]string{"c"}, 10)
	if !strings.HasPrefix(out.String(), "\x1b[2A\r") || !strings.HasSuffix(out.String(), "\x1b[J") {
		t.Errorf("got %q; want it to begin two rows higher and to clear what is below", out.String())
	}
	c.drawLines([]string{"\x1b[31m12345678\x1b[0m"}, 10)
	if rows := c.countRows(4); rows != 2 {
		t.Errorf("a line of 8 cells takes %d rows of 4", rows)
	}
}
