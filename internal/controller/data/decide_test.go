// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func trio() (*v1alpha1.Data, *v1alpha1.DataSet, *corev1.Pod) {
	d := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{
			Name: "d", Namespace: "shop", CreationTimestamp: metav1.NewTime(born),
			Labels: map[string]string{v1alpha1.LabelDataSet: "models", v1alpha1.LabelPodUID: "u"},
		},
		Spec: v1alpha1.DataSpec{PodName: "web-0", Revision: "r1", DataItems: []v1alpha1.DataItem{{Namespace: "default", Name: "m"}}},
	}
	set := &v1alpha1.DataSet{Spec: v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": "web"}}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Namespace: "shop", UID: "u", Labels: map[string]string{"app": "web"}}}
	p.Spec.NodeName = "n1"
	return d, set, p
}

func TestDataIsRemovedWhenItsPodOrDataSetIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Data, **v1alpha1.DataSet, **corev1.Pod)
		remove bool
	}{
		"all there":          {func(*v1alpha1.Data, **v1alpha1.DataSet, **corev1.Pod) {}, false},
		"pod gone":           {func(_ *v1alpha1.Data, _ **v1alpha1.DataSet, p **corev1.Pod) { *p = nil }, true},
		"pod replaced":       {func(_ *v1alpha1.Data, _ **v1alpha1.DataSet, p **corev1.Pod) { (*p).UID = "v" }, true},
		"DataSet gone":       {func(_ *v1alpha1.Data, s **v1alpha1.DataSet, _ **corev1.Pod) { *s = nil }, true},
		"no longer selected": {func(_ *v1alpha1.Data, _ **v1alpha1.DataSet, p **corev1.Pod) { (*p).Labels = nil }, true},
		"pod completed":      {func(_ *v1alpha1.Data, _ **v1alpha1.DataSet, p **corev1.Pod) { (*p).Status.Phase = corev1.PodSucceeded }, false},
	} {
		d, set, p := trio()
		c.change(d, &set, &p)
		if got := decideAction(facts{data: d, set: set, pod: p, now: born}); (got.remove != "") != c.remove {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestDataOfAPreheatStaysOnlyForAPodOfItsDataSet(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Data, *v1alpha1.DataSet, *corev1.Pod)
		remove bool
	}{
		"all there":                     {func(*v1alpha1.Data, *v1alpha1.DataSet, *corev1.Pod) {}, false},
		"a pod that another owner made": {func(_ *v1alpha1.Data, _ *v1alpha1.DataSet, p *corev1.Pod) { p.OwnerReferences = nil }, true},
		"a pod of an earlier DataSet":   {func(_ *v1alpha1.Data, s *v1alpha1.DataSet, _ *corev1.Pod) { s.UID = "later" }, true},
		"a replica's Data for such a pod": {func(d *v1alpha1.Data, _ *v1alpha1.DataSet, _ *corev1.Pod) {
			d.Labels = map[string]string{v1alpha1.LabelDataSet: "models", v1alpha1.LabelPodUID: "u"}
		}, true},
	} {
		d, set, p := trio()
		set.Name, set.UID = "models", "s"
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "data.kuda.io/v1alpha1", Kind: "DataSet", Name: "models",
			UID: "s", Controller: &yes}}
		p.Labels[v1alpha1.LabelPreheat] = "models"
		d.Labels = map[string]string{v1alpha1.LabelPreheat: "models", v1alpha1.LabelPodUID: "u"}
		c.change(d, set, p)
		if got := decideAction(facts{data: d, set: set, pod: p, now: born}); (got.remove != "") != c.remove {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestARuntimeThatNeverReportsIsShownAsNotConnected(t *testing.T) {
	d, set, p := trio()
	if got := decideAction(facts{data: d, set: set, pod: p, now: born.Add(5 * time.Second)}); got.ready != nil || got.after != 10*time.Second {
		t.Errorf("after 5 s: %+v", got)
	}
	got := decideAction(facts{data: d, set: set, pod: p, now: born.Add(reportTimeout)})
	if got.ready == nil || got.ready.Reason != v1alpha1.ReasonRuntimeNotConnected ||
		!strings.Contains(got.ready.Message, "kubectl logs --namespace shop web-0 --container kuda-runtime") {
		t.Fatalf("after %s: %+v", reportTimeout, got)
	}
	d.Status.Conditions = []metav1.Condition{*got.ready}
	if got := decideAction(facts{data: d, set: set, pod: p, now: born.Add(time.Hour)}); got.ready != nil {
		t.Errorf("it is written again: %+v", got.ready)
	}
	p.Spec.NodeName = ""
	if got := decideAction(facts{data: d, set: set, pod: p, now: born.Add(time.Hour)}); got.ready == nil ||
		!strings.Contains(got.ready.Message, "no node") {
		t.Errorf("an unscheduled pod: %+v", got.ready)
	}
	d.Status.ObservedRevision = "r1"
	if got := decideAction(facts{data: d, set: set, pod: p, now: born.Add(time.Hour)}); got.ready != nil {
		t.Errorf("it is written over a report: %+v", got.ready)
	}
}

// What a runtime said last is the present only while it acknowledges what it is told.
func TestAReportThatIsNoLongerCurrentIsShownAsUnknown(t *testing.T) {
	later := born.Add(time.Hour)
	for name, c := range map[string]struct {
		change func(*facts)
		want   metav1.ConditionStatus
		says   string
		after  time.Duration
	}{
		"acknowledged": {func(*facts) {}, "", "", 0},
		"told just now": {func(f *facts) { f.data.Spec.Revision, f.assigned = "r2", later.Add(-5*time.Second) }, "",
			"", 10 * time.Second},
		"not acknowledged": {func(f *facts) { f.data.Spec.Revision, f.assigned = "r2", later.Add(-reportTimeout) },
			metav1.ConditionUnknown, "has not acknowledged revision r2", 0},
		"the runtime just ended": {func(f *facts) { f.down = later.Add(-time.Second) }, "", "", 14 * time.Second},
		"the runtime is down":    {func(f *facts) { f.down = later.Add(-reportTimeout) }, metav1.ConditionUnknown, "has not run", 0},
		"not heard for a while": {func(f *facts) { f.unheard = later.Add(-reportTimeout) }, metav1.ConditionUnknown,
			"has not heard", 0},
		"not heard just now":               {func(f *facts) { f.unheard = later.Add(-13 * time.Second) }, "", "", 2 * time.Second},
		"not heard since the leader began": {func(f *facts) { f.unheard = later.Add(2 * time.Minute) }, "", "", 2*time.Minute + reportTimeout},
		"not heard, as it is down": {func(f *facts) {
			f.unheard, f.down = later.Add(-time.Minute), later.Add(-reportTimeout)
		}, metav1.ConditionUnknown, "has not run", 0},
		"not heard, and it is not known": {func(f *facts) { f.heard = false }, "", "", 0},
		"withdrawing":                    {func(f *facts) { f.down, f.data.Spec.Withdraw = later.Add(-reportTimeout), true }, "", "", 0},
		"the pod ended": {func(f *facts) {
			f.down, f.pod.Status.Phase = later.Add(-reportTimeout), corev1.PodSucceeded
		}, "", "", 0},
	} {
		d, set, p := trio()
		d.Status = v1alpha1.DataStatus{ObservedRevision: "r1", DataItems: 1, Success: 1, Ready: "1/1", Progress: "100%"}
		f := facts{data: d, set: set, pod: p, now: later, assigned: born, heard: true}
		c.change(&f)
		got := decideAction(f)
		if got.after != c.after || (got.ready == nil) != (c.want == "") {
			t.Errorf("%s: %+v", name, got)
		}
		if got.ready == nil {
			continue
		}
		if got.ready.Status != c.want || got.ready.Reason != v1alpha1.ReasonRuntimeNotConnected || !strings.Contains(got.ready.Message, c.says) {
			t.Errorf("%s: %+v", name, got.ready)
		}
		setCondition(&d.Status, *got.ready)
		if d.Status.Ready != "?/1" || d.Status.Progress != "" {
			t.Errorf("%s: the columns say %q, %q", name, d.Status.Ready, d.Status.Progress)
		}
		if again := decideAction(f); again.ready != nil {
			t.Errorf("%s: it is written again: %+v", name, again.ready)
		}
	}
}

// What was reported last is the present again when the runtime is heard, and only then.
func TestTheLastReportCountsAgainWhenTheRuntimeIsHeard(t *testing.T) {
	later := born.Add(time.Hour)
	failed := v1alpha1.DataItemStatus{Namespace: "default", Name: "m", Phase: v1alpha1.DataFailed, Reason: "NotFound", Message: "404"}
	loading := v1alpha1.DataItemStatus{Namespace: "default", Name: "m", Phase: v1alpha1.DataDownloading, Bytes: 1, TotalBytes: 4}
	for name, c := range map[string]struct {
		status   v1alpha1.DataStatus
		change   func(*facts)
		want     metav1.ConditionStatus
		reason   string
		progress string
	}{
		"delivered": {v1alpha1.DataStatus{DataItems: 1, Success: 1}, func(*facts) {}, metav1.ConditionTrue, v1alpha1.ReasonDelivered, "100%"},
		"failed": {v1alpha1.DataStatus{DataItems: 1, Failed: 1, DataItemsStatus: []v1alpha1.DataItemStatus{failed}}, func(*facts) {},
			metav1.ConditionFalse, "NotFound", ""},
		"on its way": {v1alpha1.DataStatus{DataItems: 1, Downloading: 1, DataItemsStatus: []v1alpha1.DataItemStatus{loading}}, func(*facts) {},
			metav1.ConditionFalse, v1alpha1.ReasonDownloading, "25%"},
		"still down":          {v1alpha1.DataStatus{DataItems: 1, Success: 1}, func(f *facts) { f.down = later.Add(-time.Minute) }, "", "", ""},
		"another revision":    {v1alpha1.DataStatus{DataItems: 1, Success: 1}, func(f *facts) { f.data.Spec.Revision = "r2" }, "", "", ""},
		"not heard":           {v1alpha1.DataStatus{DataItems: 1, Success: 1}, func(f *facts) { f.heard = false }, "", "", ""},
		"a status of no item": {v1alpha1.DataStatus{DataItems: 1}, func(*facts) {}, metav1.ConditionFalse, v1alpha1.ReasonWaiting, ""},
	} {
		d, set, p := trio()
		d.Status = c.status
		d.Status.ObservedRevision, d.Status.Ready = "r1", "?/1"
		f := facts{data: d, set: set, pod: p, now: later, assigned: born, unheard: later.Add(-time.Minute)}
		setCondition(&d.Status, *decideAction(f).ready)
		f.heard, f.unheard = true, time.Time{}
		c.change(&f)
		got := decideAction(f)
		if known := got.ready != nil && got.ready.Status != metav1.ConditionUnknown; known != (c.want != "") {
			t.Errorf("%s: %+v", name, got)
		}
		if c.want == "" || got.ready == nil {
			continue
		}
		setCondition(&d.Status, *got.ready)
		if got.ready.Status != c.want || got.ready.Reason != c.reason || d.Status.Ready != assignment.Counted(&d.Status) ||
			d.Status.Progress != c.progress {
			t.Errorf("%s: %+v, columns %q, %q", name, got.ready, d.Status.Ready, d.Status.Progress)
		}
		if again := decideAction(f); again.ready != nil {
			t.Errorf("%s: it is written again: %+v", name, again.ready)
		}
	}
}

// A runtime that trusts another authority is silent, too, and only its pod's spec says why.
func TestAPodOfAnEarlierInstallationIsToldFromOneThatIsSilent(t *testing.T) {
	later := born.Add(time.Hour)
	for name, c := range map[string]struct {
		change func(*facts)
		want   metav1.ConditionStatus
		reason string
	}{
		"never reported": {func(f *facts) { f.data.Status = v1alpha1.DataStatus{} }, metav1.ConditionFalse, v1alpha1.ReasonAuthorityChanged},
		"reported to the earlier one": {func(f *facts) { f.unheard = later.Add(-time.Minute) }, metav1.ConditionUnknown,
			v1alpha1.ReasonAuthorityChanged},
		"heard all the same": {func(*facts) {}, "", ""},
		"the same authority": {func(f *facts) { f.replaced, f.unheard = false, later.Add(-time.Minute) }, metav1.ConditionUnknown,
			v1alpha1.ReasonRuntimeNotConnected},
	} {
		d, set, p := trio()
		d.Status = v1alpha1.DataStatus{ObservedRevision: "r1", DataItems: 1, Success: 1}
		f := facts{data: d, set: set, pod: p, now: later, assigned: born, heard: true, replaced: true}
		c.change(&f)
		got := decideAction(f)
		if (got.ready == nil) != (c.reason == "") {
			t.Errorf("%s: %+v", name, got)
		}
		if got.ready == nil {
			continue
		}
		if got.ready.Status != c.want || got.ready.Reason != c.reason ||
			strings.Contains(got.ready.Message, "restart the pod's workload") != (c.reason == v1alpha1.ReasonAuthorityChanged) {
			t.Errorf("%s: %+v", name, got.ready)
		}
		setCondition(&d.Status, *got.ready)
		f.heard, f.unheard = true, time.Time{}
		if back := decideAction(f); got.ready.Status == metav1.ConditionUnknown &&
			(back.ready == nil || back.ready.Status != metav1.ConditionTrue) {
			t.Errorf("%s: when it is heard again: %+v", name, back.ready)
		}
	}
}

func TestTimeStartsAnewWithEachRevision(t *testing.T) {
	d, _, _ := trio()
	d.UID = "x"
	var a assignments
	a.trackAssignment(d, false, born)
	if since, down := a.trackAssignment(d, true, born.Add(time.Minute)); !since.Equal(born) || !down.Equal(born.Add(time.Minute)) {
		t.Errorf("the same revision: %s, %s", since, down)
	}
	d.Spec.Revision = "r2"
	if since, down := a.trackAssignment(d, true, born.Add(time.Hour)); !since.Equal(born.Add(time.Hour)) ||
		!down.Equal(born.Add(time.Minute)) {
		t.Errorf("the next: %s, %s", since, down)
	}
	if _, down := a.trackAssignment(d, false, born.Add(time.Hour)); !down.IsZero() {
		t.Errorf("a runtime that runs: %s", down)
	}
}

// With deletionPolicy Remove a pod that leaves the selection loses the items, by
// whatever way it leaves.
func TestItemsAreWithdrawnFromAPodThatLeavesTheSelection(t *testing.T) {
	remove := func(s *v1alpha1.DataSet) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRemove }
	relabelled := func(_ *v1alpha1.Data, _ *v1alpha1.DataSet, p *corev1.Pod) {
		p.Labels = map[string]string{"app": "other"}
	}
	for name, c := range map[string]struct {
		change           func(*v1alpha1.Data, *v1alpha1.DataSet, *corev1.Pod)
		policy           func(*v1alpha1.DataSet)
		withdraw, remove bool
	}{
		"Retain":     {relabelled, func(*v1alpha1.DataSet) {}, false, true},
		"relabelled": {relabelled, remove, true, false},
		"another selector": {func(_ *v1alpha1.Data, s *v1alpha1.DataSet, _ *corev1.Pod) {
			s.Spec.WorkloadSelector = map[string]string{"app": "web", "tier": "gold"}
		}, remove, true, false},
		"opted out": {func(_ *v1alpha1.Data, _ *v1alpha1.DataSet, p *corev1.Pod) {
			p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
		}, remove, true, false},
		"asked": {func(d *v1alpha1.Data, s *v1alpha1.DataSet, p *corev1.Pod) {
			relabelled(d, s, p)
			d.Spec.Withdraw = true
		}, remove, false, false},
		"answered": {func(d *v1alpha1.Data, s *v1alpha1.DataSet, p *corev1.Pod) {
			relabelled(d, s, p)
			d.Spec.Withdraw = true
			d.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonWithdrawn}}
		}, remove, false, true},
		"never started": {func(d *v1alpha1.Data, s *v1alpha1.DataSet, p *corev1.Pod) {
			relabelled(d, s, p)
			p.Status.Phase, d.Status.ObservedRevision = corev1.PodPending, ""
		}, remove, false, true},
		"still selected": {func(*v1alpha1.Data, *v1alpha1.DataSet, *corev1.Pod) {}, remove, false, false},
	} {
		d, set, p := trio()
		d.Status.ObservedRevision = "r1"
		p.Status.Phase = corev1.PodRunning
		c.policy(set)
		c.change(d, set, p)
		got := decideAction(facts{data: d, set: set, pod: p, now: born})
		if (got.withdraw != "") != c.withdraw || (got.remove != "") != c.remove {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAnEventIsRecordedOncePerTransition(t *testing.T) {
	state := func(phase v1alpha1.DataPhase, reason string, success, failed int32) *v1alpha1.Data {
		d, _, _ := trio()
		d.Status = v1alpha1.DataStatus{
			ObservedRevision: "r1", DataItems: 1, Success: success, Failed: failed,
			DataItemsStatus: []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: phase, Reason: reason,
				Message: strings.Repeat("x", 5000)}},
		}
		return d
	}
	start, _, _ := trio()
	bad, worse := state(v1alpha1.DataFailed, "NotFound", 0, 1), state(v1alpha1.DataFailed, "AccessDenied", 0, 1)
	retried := state(v1alpha1.DataDownloading, "Downloading", 0, 0)
	other := state(v1alpha1.DataFailed, "NotFound", 0, 1)
	other.Status.DataItemsStatus[0].Version = "v2"
	good := state(v1alpha1.DataSuccess, "", 1, 0)
	const failed, delivered = v1alpha1.EventItemFailed, v1alpha1.EventItemsDelivered
	for name, c := range map[string]struct {
		states []*v1alpha1.Data
		want   string
	}{
		"first failure":                   {[]*v1alpha1.Data{start, bad}, failed},
		"still failed":                    {[]*v1alpha1.Data{bad, bad}, ""},
		"tried again":                     {[]*v1alpha1.Data{start, bad, retried, bad, retried, bad}, failed},
		"tried again after a restart":     {[]*v1alpha1.Data{bad, retried, bad}, ""},
		"another failure":                 {[]*v1alpha1.Data{bad, worse}, failed},
		"another failure at a retry":      {[]*v1alpha1.Data{bad, retried, worse}, failed},
		"another version":                 {[]*v1alpha1.Data{bad, retried, other}, failed},
		"failed again after it was there": {[]*v1alpha1.Data{bad, good, bad}, delivered + failed},
		"delivered":                       {[]*v1alpha1.Data{bad, good}, delivered},
		"still delivered":                 {[]*v1alpha1.Data{good, good}, ""},
	} {
		var got string
		var m memory
		for i, after := range c.states[1:] {
			for _, n := range m.failureNews(c.states[i], after) {
				got += n.reason
			}
			if isNewlyDelivered(c.states[i], after) {
				got += delivered
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestADeletedDataIsForgotten(t *testing.T) {
	d, _, _ := trio()
	d.UID = "d"
	d.Status.ObservedRevision = "r1"
	d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: v1alpha1.DataFailed, Reason: "NotFound"}}
	r := New(Options{})
	p := r.eventPredicate()
	p.Create(event.CreateEvent{Object: d})
	if len(r.memory.datas) != 1 {
		t.Error("a failure that was there is news after a restart")
	}
	p.Delete(event.DeleteEvent{Object: d})
	if len(r.memory.datas) != 0 {
		t.Errorf("kept: %v", r.memory.datas)
	}
}

func TestADataIsForgottenWhenAnotherTakesItsName(t *testing.T) {
	d, _, _ := trio()
	d.UID = "d"
	d.Status.ObservedRevision = "r1"
	d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: v1alpha1.DataFailed, Reason: "NotFound"}}
	r := New(Options{})
	p := r.eventPredicate()
	p.Create(event.CreateEvent{Object: d})
	r.assignments.trackAssignment(d, false, time.Now())
	next := d.DeepCopy()
	next.UID, next.Status = "next", v1alpha1.DataStatus{}
	// A watch that was interrupted shows a deletion and a creation as one update.
	if !p.Update(event.UpdateEvent{ObjectOld: d, ObjectNew: next}) {
		t.Error("the new Data is not looked at")
	}
	if len(r.memory.datas) != 0 || len(r.assignments.known) != 0 {
		t.Errorf("kept: %v, %v", r.memory.datas, r.assignments.known)
	}
}
