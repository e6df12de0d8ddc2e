// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

var start = time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)

// namedNodes are Ready and know of no store.
func namedNodes(names ...string) []Node {
	var all []Node
	for _, name := range names {
		all = append(all, Node{Name: name, Labels: map[string]string{"disk": "fast"}, Ready: true, ReadySince: start.Add(-24 * time.Hour)})
	}
	return all
}

func newInput(nodes []Node, change ...func(*Input)) Input {
	in := Input{DataSet: "model", UID: "u", Revision: "r1", Nodes: nodes, Now: start}
	for _, f := range change {
		f(&in)
	}
	return in
}

func withReplicas(n int32) func(*Input) { return func(in *Input) { in.Spec.Replicas = &n } }

// withSeats is a state in which nodes are in a phase since the start.
func withSeats(phase v1alpha1.PreheatPhase, names ...string) func(*Input) {
	return func(in *Input) {
		in.State.Revision = in.Revision
		if in.State.Seats == nil {
			in.State.Seats = map[string]Seat{}
		}
		for _, name := range names {
			in.State.Seats[name] = Seat{Phase: phase, Since: start}
		}
	}
}

// podOn is a node's, running and without a report.
func podOn(node string, change ...func(*Pod)) Pod {
	p := Pod{Name: PodName("model", "u", node, "r1"), Created: start, Phase: corev1.PodPending, Injected: true, Node: node, Data: &Delivery{}}
	for _, f := range change {
		f(&p)
	}
	return p
}

func withPods(pods ...Pod) func(*Input) { return func(in *Input) { in.Pods = pods } }

func afterDelay(d time.Duration) func(*Input) { return func(in *Input) { in.Now = start.Add(d) } }

func takenNodes(p Plan) string {
	var all []string
	for name, seat := range p.State.Seats {
		all = append(all, fmt.Sprintf("%s=%s", name, seat.Phase))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestOnlyNodesThatQualifyGetAPod(t *testing.T) {
	all := namedNodes("plain", "cordoned", "tainted", "away", "windows", "unlabelled")
	all[1].Cordoned, all[2].Tainted, all[3].Ready = true, true, false
	all[4].Labels = map[string]string{"disk": "fast", corev1.LabelOSStable: "windows"}
	all[5].Labels = nil
	p := Decide(newInput(all, func(in *Input) { in.Spec.NodeSelector = map[string]string{"disk": "fast"} }))
	if diff := cmp.Diff([]string{"plain"}, p.Create); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if p.Matching != 4 || p.Fit != 1 || p.Wanted != 1 {
		t.Errorf("matching %d, fit %d, wanted %d", p.Matching, p.Fit, p.Wanted)
	}
	if p := Decide(newInput(all)); takenNodes(p) != "plain=Pending unlabelled=Pending" {
		t.Errorf("without a selector: %s", takenNodes(p))
	}
}

func TestReplicasChooseTheBestNodes(t *testing.T) {
	all := namedNodes("empty", "some", "roomy", "most", "all")
	all[1].Store = &Store{Bytes: 10, Available: 1000}
	all[2].Store = &Store{Available: 500}
	all[3].Store = &Store{Bytes: 20}
	all[4].Store = &Store{Bytes: 30, Kept: true}
	for n, want := range map[int32]string{
		1: "all=Ready", 2: "all=Ready most=Pending", 3: "all=Ready most=Pending some=Pending",
		4: "all=Ready most=Pending roomy=Pending some=Pending",
		9: "all=Ready empty=Pending most=Pending roomy=Pending some=Pending",
	} {
		p := Decide(newInput(all, withReplicas(n)))
		if takenNodes(p) != want || p.Wanted != int(n) {
			t.Errorf("%d replicas: %s, wanted %d", n, takenNodes(p), p.Wanted)
		}
	}
	chosen := map[string]bool{}
	for i := range 50 {
		p := Decide(newInput(namedNodes("a", "b", "c"), withReplicas(1), func(in *Input) { in.UID = types.UID(fmt.Sprint(i)) }))
		chosen[p.Create[0]] = true
	}
	if len(chosen) != 3 {
		t.Errorf("DataSets that are alike all go to %v", chosen)
	}
}

func TestAChosenNodeIsKeptWhileItQualifies(t *testing.T) {
	all := namedNodes("a", "b", "better")
	all[2].Store = &Store{Bytes: 30, Kept: true}
	for _, phase := range []v1alpha1.PreheatPhase{v1alpha1.PreheatPending, v1alpha1.PreheatDownloading, v1alpha1.PreheatReady} {
		p := Decide(newInput(all, withReplicas(1), withSeats(phase, "a")))
		if !strings.HasPrefix(takenNodes(p), "a=") {
			t.Errorf("%s: %s", phase, takenNodes(p))
		}
	}
	all[0].Cordoned = true
	p := Decide(newInput(all, withReplicas(1), withSeats(v1alpha1.PreheatReady, "a"), withPods(podOn("a"))))
	if takenNodes(p) != "better=Ready" || len(p.Delete) != 1 {
		t.Errorf("a drained node keeps its seat: %s, deleted %v", takenNodes(p), p.Delete)
	}
	p = Decide(newInput(namedNodes("a", "b", "c"), withReplicas(1), withSeats(v1alpha1.PreheatPending, "a"),
		withSeats(v1alpha1.PreheatReady, "b")))
	if takenNodes(p) != "b=Ready" {
		t.Errorf("fewer replicas keep the node that is not ready: %s", takenNodes(p))
	}
}

// lackingNode returns a node whose store was seen without the data.
func lackingNode(observed time.Duration) []Node {
	all := namedNodes("n")
	all[0].Store = &Store{Observed: start.Add(observed)}
	return all
}

// TestThePhaseOfANodeFollowsItsStoreAndPod has phases of one node by what is observed.
func TestThePhaseOfANodeFollowsItsStoreAndPod(t *testing.T) {
	kept := namedNodes("n")
	kept[0].Store = &Store{Kept: true, Observed: start}
	overfull := lackingNode(time.Hour)
	overfull[0].Store.Omitted = true
	cameBack := namedNodes("n")
	cameBack[0].ReadySince = start.Add(time.Hour)
	failed := &Delivery{Reported: true, Permanent: true, Reason: v1alpha1.ReasonNotFound, Message: "nothing there"}
	failing := &Delivery{Reported: true, Failing: true, Reason: v1alpha1.ReasonInsufficientSpace, Message: "full"}
	for name, c := range map[string]struct {
		in     Input
		phase  v1alpha1.PreheatPhase
		reason string
		// Pods made and deleted.
		made, deleted int
		wake          time.Duration
	}{
		"new":                       {newInput(namedNodes("n")), "Pending", "", 1, 0, 0},
		"has everything":            {newInput(kept), "Ready", "", 0, 0, 0},
		"has everything, and a pod": {newInput(kept, withSeats("Downloading", "n"), withPods(podOn("n"))), "Ready", "", 0, 1, 0},
		"no report": {newInput(namedNodes("n"), withSeats("Pending", "n"), withPods(podOn("n"))), "Pending", "",
			0, 0, reportPatience},
		"no report for long": {newInput(namedNodes("n"), withSeats("Pending", "n"), withPods(podOn("n")), afterDelay(reportPatience)), "Failed",
			"RuntimeNotConnected", 0, 1, minBackoff},
		"downloads": {newInput(namedNodes("n"), withSeats("Pending", "n"), withPods(podOn("n", withDelivery(&Delivery{Reported: true})))),
			"Downloading", "", 0, 0, 0},
		"downloads for long": {newInput(namedNodes("n"), withSeats("Downloading", "n"),
			withPods(podOn("n", withDelivery(&Delivery{Reported: true}))),
			afterDelay(9*time.Hour)), "Downloading", "", 0, 0, 0},
		"delivered a moment ago": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", withData(start)))), "Downloading",
			"Delivered", 0, 0, settling},
		"delivered": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", withData(start))), afterDelay(settling)),
			"Ready", "", 0, 1, 0},
		"ended well": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", withPhase(corev1.PodSucceeded)))),
			"Ready", "", 0, 1, 0},
		"ended badly": {newInput(namedNodes("n"), withSeats("Downloading", "n"),
			withPods(podOn("n", withPhase(corev1.PodFailed), withReason("Evicted", "no disk")))), "Failed", "Evicted", 0, 1, minBackoff},
		"failed for good": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", withDelivery(failed)))), "Failed",
			"NotFound", 0, 1, minBackoff},
		"fails for now": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", withDelivery(failing)))), "Downloading",
			"InsufficientSpace", 0, 0, itemPatience},
		"fails for long": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", withDelivery(failing))),
			afterDelay(itemPatience)),
			"Failed", "InsufficientSpace", 0, 1, minBackoff},
		"unschedulable": {newInput(namedNodes("n"), withSeats("Pending", "n"), withPods(podOn("n", withoutNode))), "Pending", "Unschedulable",
			0, 0, nodePatience},
		"unschedulable for long": {newInput(namedNodes("n"), withSeats("Pending", "n"), withPods(podOn("n", withoutNode)),
			afterDelay(nodePatience)),
			"Failed", "Unschedulable", 0, 1, minBackoff},
		"without the runtime": {newInput(namedNodes("n"), withSeats("Pending", "n"), withPods(podOn("n", func(p *Pod) { p.Injected = false }))),
			"Failed", "PodsNotInjected", 0, 1, minBackoff},
		"its pod is deleted": {newInput(namedNodes("n"), withSeats("Downloading", "n"), withPods(podOn("n", beingDeleted))), "Failed",
			"PodDeleted", 0, 0, minBackoff},
		"its pod is deleted when it has all": {newInput(namedNodes("n"), withSeats("Downloading", "n"),
			withPods(podOn("n", withData(start), beingDeleted))),
			"Ready", "", 0, 0, 0},
		"ready and its pod is leaving": {newInput(namedNodes("n"), withSeats("Ready", "n"), withPods(podOn("n", beingDeleted))),
			"Ready", "", 0, 0, 0},
		"failed and its pod is leaving": {newInput(namedNodes("n"), withSeats("Failed", "n"), withPods(podOn("n", beingDeleted))), "Failed",
			"", 0, 0, minBackoff},
		"chosen again, its pod leaving": {newInput(namedNodes("n"), withPods(podOn("n", beingDeleted))), "Pending", "", 0, 0, 0},
		"ready, nothing known":          {newInput(namedNodes("n"), withSeats("Ready", "n"), afterDelay(time.Hour)), "Ready", "", 0, 0, 0},
		"ready, an older report":        {newInput(lackingNode(reportLag), withSeats("Ready", "n"), afterDelay(time.Hour)), "Ready", "", 0, 0, 0},
		"ready, and lost": {newInput(lackingNode(2*reportLag), withSeats("Ready", "n"), afterDelay(time.Hour)), "Pending",
			"NotInStore", 1, 0, 0},
		"ready, and perhaps omitted": {newInput(overfull, withSeats("Ready", "n"), afterDelay(time.Hour)), "Ready", "", 0, 0, 0},
		"ready, came back":           {newInput(cameBack, withSeats("Ready", "n"), afterDelay(2*time.Hour)), "Pending", "NodeCameBack", 1, 0, 0},
		"downloading, pod gone":      {newInput(namedNodes("n"), withSeats("Downloading", "n")), "Pending", "", 1, 0, 0},
		"failed": {newInput(namedNodes("n"), withSeats("Failed", "n"), afterDelay(minBackoff-time.Second)), "Failed",
			"", 0, 0, time.Second},
		"failed, tried again": {newInput(namedNodes("n"), withSeats("Failed", "n"), afterDelay(minBackoff)), "Pending", "", 1, 0, 0},
		"no pod can be made": {newInput(namedNodes("n"), func(in *Input) { in.Held = start.Add(time.Minute) }), "Pending",
			"Waiting", 0, 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			p := Decide(c.in)
			got := p.State.Seats["n"]
			if got.Phase != c.phase || got.Reason != c.reason || len(p.Create) != c.made || len(p.Delete) != c.deleted || p.Wake != c.wake {
				t.Errorf("seat %+v, made %v, deleted %v, wake %s", got, p.Create, p.Delete, p.Wake)
			}
		})
	}
}

func TestDataThatIsGoneRightAfterItsReportIsPreheatedAgain(t *testing.T) {
	all := namedNodes("n")
	all[0].Store = &Store{Kept: true, Observed: start}
	p := Decide(newInput(all))
	all[0].Store = &Store{Observed: start.Add(time.Second)}
	if p = Decide(newInput(all, func(in *Input) { in.State = p.State }, afterDelay(2*time.Second))); len(p.Create) != 1 {
		t.Errorf("%+v", p.State.Seats)
	}
}

func withDelivery(d *Delivery) func(*Pod) { return func(p *Pod) { p.Data = d } }

func withData(at time.Time) func(*Pod) {
	return withDelivery(&Delivery{Reported: true, Delivered: true, DeliveredAt: at})
}

func withPhase(ph corev1.PodPhase) func(*Pod) { return func(p *Pod) { p.Phase = ph } }

func withReason(reason, message string) func(*Pod) {
	return func(p *Pod) { p.Reason, p.Message = reason, message }
}

func withoutNode(p *Pod) { p.Node, p.Reason, p.Message = "", "Unschedulable", "0/3 nodes" }

func beingDeleted(p *Pod) { p.Deleting = true }

func TestFailuresAreRetriedWithGrowingBackoff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute,
		5: 16 * time.Minute, 6: 30 * time.Minute, 1000: 30 * time.Minute} {
		if got := backoffAfter(attempts); got != want {
			t.Errorf("%d attempts: %s", attempts, got)
		}
	}
	in := newInput(namedNodes("n"), withSeats("Downloading", "n"))
	for attempt := 1; attempt <= 3; attempt++ {
		in.Pods = []Pod{podOn("n", withPhase(corev1.PodFailed), func(p *Pod) { p.Created = in.Now })}
		in.Now = in.Now.Add(time.Second)
		p := Decide(in)
		// The pod has not been removed yet: that is the same failure.
		in.State = p.State
		p = Decide(in)
		if seat := p.State.Seats["n"]; seat.Attempts != attempt || p.Wake != backoffAfter(attempt) {
			t.Fatalf("after failure %d: %+v, wake %s", attempt, seat, p.Wake)
		}
		in.Pods, in.State, in.Now = nil, p.State, in.Now.Add(p.Wake)
		p = Decide(in)
		if seat := p.State.Seats["n"]; len(p.Create) != 1 || seat.Reason != reasonPodFailed {
			t.Fatalf("retry %d: %v, %+v; it is to say what failed before", attempt, p.Create, seat)
		}
		in.State = p.State
	}
}

func TestARequestMakesFailedNodesDueOnce(t *testing.T) {
	const request = "retry r1 token"
	failed := func(in *Input) {
		withSeats(v1alpha1.PreheatFailed, "a")(in)
		withSeats(v1alpha1.PreheatReady, "b")(in)
		seat := in.State.Seats["a"]
		seat.Attempts = 5
		in.State.Seats["a"] = seat
	}
	asked := func(in *Input) { in.Request = request }
	if p := Decide(newInput(namedNodes("a", "b"), failed, afterDelay(time.Minute))); len(p.Create) > 0 || p.Retry {
		t.Errorf("without a request: %+v", p)
	}
	held := func(in *Input) { in.Held = start.Add(time.Hour) }
	p := Decide(newInput(namedNodes("a", "b"), failed, afterDelay(time.Minute), asked, held))
	if !p.Retry || !slices.Equal(p.Create, []string{"a"}) || p.State.Request != request || takenNodes(p) != "a=Pending b=Ready" {
		t.Errorf("with a request: %+v", p)
	}
	// The pod of the last try is on its way out: its node's turn comes when it is gone.
	leaving := podOn("a", func(p *Pod) { p.Created, p.Deleting = start.Add(-time.Second), true })
	p = Decide(newInput(namedNodes("a", "b"), failed, afterDelay(time.Minute), asked, withPods(leaving)))
	if len(p.Create) > 0 {
		t.Errorf("beside the old pod: %+v", p.Create)
	}
	again := newInput(namedNodes("a", "b"), afterDelay(time.Minute+time.Second), asked)
	again.State = p.State
	if p := Decide(again); p.Retry || !slices.Equal(p.Create, []string{"a"}) {
		t.Errorf("once it is gone: %+v", p)
	}
	// The request stays; what fails later waits as ever.
	later := newInput(namedNodes("a", "b"), failed, afterDelay(time.Minute), asked)
	later.State.Request = request
	if p := Decide(later); p.Retry || len(p.Create) > 0 {
		t.Errorf("the same request again: %+v", p)
	}
	if got := stateOf(statusOf(Plan{State: State{Request: request}})); got.Request != request {
		t.Errorf("another leader knows of %q", got.Request)
	}
}

func TestANodeWithAFailureOfItsOwnIsReplaced(t *testing.T) {
	failed := func(reason string) func(*Input) {
		return func(in *Input) {
			in.State = State{Revision: "r1", Seats: map[string]Seat{"a": {Phase: v1alpha1.PreheatFailed, Reason: reason, Since: start, Attempts: 1}}}
		}
	}
	all := namedNodes("a", "b")
	p := Decide(newInput(all, withReplicas(1), failed(v1alpha1.ReasonInsufficientSpace)))
	if takenNodes(p) != "b=Pending" || p.State.Passed["a"].Attempts != 1 {
		t.Errorf("%s, passed %v", takenNodes(p), p.State.Passed)
	}
	if p := Decide(newInput(all, withReplicas(1), failed(v1alpha1.ReasonAccessDenied))); takenNodes(p) != "a=Failed" {
		t.Errorf("the source refuses, and another node is tried: %s", takenNodes(p))
	}
	// The other one fails too, more often: the first gets another chance, in its time.
	in := newInput(all, withReplicas(1), func(in *Input) { in.State = p.State })
	in.State.Seats["b"] = Seat{Phase: v1alpha1.PreheatFailed, Reason: v1alpha1.ReasonStoreFailed, Since: start, Attempts: 2}
	if p := Decide(in); takenNodes(p) != "a=Failed" || p.Wake != minBackoff {
		t.Errorf("%s, wake %s", takenNodes(p), p.Wake)
	}
}

func TestThePodsThatDownloadAtATimeAreLimited(t *testing.T) {
	for n, want := range map[int]int{1: 1, 3: 3, 5: 3, 30: 3, 31: 4, 200: 20} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("n%03d", i))
		}
		p := Decide(newInput(namedNodes(names...)))
		if len(p.Create) != want {
			t.Errorf("%d nodes: %d pods, want %d", n, len(p.Create), want)
		}
		if n < 5 {
			continue
		}
		// One that ends, and one that is on its way out.
		busy := []Pod{podOn("n000", beingDeleted), podOn("n001", withPhase(corev1.PodRunning)), podOn("n002", withPhase(corev1.PodSucceeded))}
		p = Decide(newInput(namedNodes(names...), withPods(busy...), withSeats("Downloading", "n000", "n001", "n002")))
		if len(p.Create) != want-2 {
			t.Errorf("%d nodes, 2 busy: %d pods more, want %d", n, len(p.Create), want-2)
		}
	}
}

func TestLostNodesDoNotDelayOthers(t *testing.T) {
	all := namedNodes("a", "b", "c", "d", "e", "f")
	for i := range 3 {
		all[i].Ready = false
	}
	p := Decide(newInput(all, withPods(podOn("a", beingDeleted), podOn("b", beingDeleted), podOn("gone", beingDeleted)),
		withSeats("Downloading", "a", "b")))
	if takenNodes(p) != "d=Pending e=Pending f=Pending" || len(p.Create) != 3 {
		t.Errorf("%s, made %v", takenNodes(p), p.Create)
	}
}

func TestANewRevisionPreheatsEachNodeAgain(t *testing.T) {
	in := newInput(namedNodes("a", "b", "c"), withReplicas(2), withSeats("Ready", "a"), withSeats("Failed", "b"),
		withPods(podOn("b"), podOn("gone")))
	in.Revision = "r2"
	p := Decide(in)
	if takenNodes(p) != "a=Pending b=Pending" || len(p.Delete) != 2 || len(p.Create) != 1 || p.State.Revision != "r2" {
		t.Errorf("%s, deleted %v, made %v", takenNodes(p), p.Delete, p.Create)
	}
}

func TestNodesAreCheckedAgainOnSchedule(t *testing.T) {
	all := namedNodes("has", "unknown", "failed")
	all[0].Store = &Store{Kept: true, Observed: start}
	in := newInput(all, withSeats("Ready", "has", "unknown"), withSeats("Failed", "failed"),
		func(in *Input) { in.Spec.Schedule = "0 3 * * *" })
	due := time.Date(2026, 3, 5, 3, 0, 0, 0, time.UTC)
	in.State.Seats["failed"] = Seat{Phase: v1alpha1.PreheatFailed, Reason: v1alpha1.ReasonNotFound, Since: due.Add(-time.Second), Attempts: 9}
	p := Decide(in)
	if !p.State.Next.Equal(due) || !p.State.Last.IsZero() || p.Wake != due.Sub(start) || len(p.Create) != 0 {
		t.Fatalf("next %s, wake %s, made %v", p.State.Next, p.Wake, p.Create)
	}
	in.State, in.Now = p.State, due.Add(time.Minute)
	p = Decide(in)
	if !p.State.Last.Equal(due) || !p.State.Next.Equal(due.AddDate(0, 0, 1)) {
		t.Errorf("last %s, next %s", p.State.Last, p.State.Next)
	}
	slices.Sort(p.Create)
	if diff := cmp.Diff([]string{"failed", "unknown"}, p.Create); diff != "" {
		t.Errorf("looked at again (-want +got):\n%s", diff)
	}
	in.State, in.Spec.Schedule = p.State, "30 4 * * *"
	if p = Decide(in); p.State.Next.Hour() != 4 {
		t.Errorf("a changed schedule: next %s", p.State.Next)
	}
	in.State, in.Spec.Schedule = p.State, "never"
	if p = Decide(in); p.Schedule == nil || !p.State.Next.IsZero() {
		t.Errorf("no schedule: %v, next %s", p.Schedule, p.State.Next)
	}
	in.Spec.Schedule = ""
	if p = Decide(in); !p.State.Last.IsZero() || p.Wake != 0 {
		t.Errorf("a schedule that was taken out: %+v, wake %s", p.State.Last, p.Wake)
	}
}

func TestARefusalIsRetriedAfterSecondsWithGrowingBackoff(t *testing.T) {
	now := start
	var t0 *trouble
	for i, want := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second} {
		t0 = t0.afterRetry(obstacle{}, 1, now)
		if got := t0.remainingWait(now); got != want {
			t.Errorf("after refusal %d: %s, want %s", i+1, got, want)
		}
	}
	for range 1000 {
		t0 = t0.afterRetry(obstacle{}, 1, now)
	}
	if got := t0.remainingWait(now); got != 30*time.Minute {
		t.Errorf("after many: %s", got)
	}
}
