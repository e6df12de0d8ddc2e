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

// nodes are Ready and know of no store.
func nodes(names ...string) []Node {
	var all []Node
	for _, name := range names {
		all = append(all, Node{Name: name, Labels: map[string]string{"disk": "fast"}, Ready: true, ReadySince: start.Add(-24 * time.Hour)})
	}
	return all
}

func input(nodes []Node, change ...func(*Input)) Input {
	in := Input{DataSet: "model", UID: "u", Revision: "r1", Nodes: nodes, Now: start}
	for _, f := range change {
		f(&in)
	}
	return in
}

func replicas(n int32) func(*Input) { return func(in *Input) { in.Spec.Replicas = &n } }

// seats is a state in which nodes are in a phase since the start.
func seats(phase v1alpha1.PreheatPhase, names ...string) func(*Input) {
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

func with(pods ...Pod) func(*Input) { return func(in *Input) { in.Pods = pods } }

func later(d time.Duration) func(*Input) { return func(in *Input) { in.Now = start.Add(d) } }

func taken(p Plan) string {
	var all []string
	for name, seat := range p.State.Seats {
		all = append(all, fmt.Sprintf("%s=%s", name, seat.Phase))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestANodeThatDoesNotQualifyGetsAPod(t *testing.T) {
	all := nodes("plain", "cordoned", "tainted", "away", "windows", "unlabelled")
	all[1].Cordoned, all[2].Tainted, all[3].Ready = true, true, false
	all[4].Labels = map[string]string{"disk": "fast", corev1.LabelOSStable: "windows"}
	all[5].Labels = nil
	p := Decide(input(all, func(in *Input) { in.Spec.NodeSelector = map[string]string{"disk": "fast"} }))
	if diff := cmp.Diff([]string{"plain"}, p.Create); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if p.Matching != 4 || p.Fit != 1 || p.Wanted != 1 {
		t.Errorf("matching %d, fit %d, wanted %d", p.Matching, p.Fit, p.Wanted)
	}
	if p := Decide(input(all)); taken(p) != "plain=Pending unlabelled=Pending" {
		t.Errorf("without a selector: %s", taken(p))
	}
}

func TestReplicasChooseAPoorNode(t *testing.T) {
	all := nodes("empty", "some", "roomy", "most", "all")
	all[1].Store = &Store{Bytes: 10, Available: 1000}
	all[2].Store = &Store{Available: 500}
	all[3].Store = &Store{Bytes: 20}
	all[4].Store = &Store{Bytes: 30, Kept: true}
	for n, want := range map[int32]string{
		1: "all=Ready", 2: "all=Ready most=Pending", 3: "all=Ready most=Pending some=Pending",
		4: "all=Ready most=Pending roomy=Pending some=Pending",
		9: "all=Ready empty=Pending most=Pending roomy=Pending some=Pending",
	} {
		p := Decide(input(all, replicas(n)))
		if taken(p) != want || p.Wanted != int(n) {
			t.Errorf("%d replicas: %s, wanted %d", n, taken(p), p.Wanted)
		}
	}
	chosen := map[string]bool{}
	for i := range 50 {
		p := Decide(input(nodes("a", "b", "c"), replicas(1), func(in *Input) { in.UID = types.UID(fmt.Sprint(i)) }))
		chosen[p.Create[0]] = true
	}
	if len(chosen) != 3 {
		t.Errorf("DataSets that are alike all go to %v", chosen)
	}
}

func TestAChosenNodeIsLeftForABetterOne(t *testing.T) {
	all := nodes("a", "b", "better")
	all[2].Store = &Store{Bytes: 30, Kept: true}
	for _, phase := range []v1alpha1.PreheatPhase{v1alpha1.PreheatPending, v1alpha1.PreheatDownloading, v1alpha1.PreheatReady} {
		p := Decide(input(all, replicas(1), seats(phase, "a")))
		if !strings.HasPrefix(taken(p), "a=") {
			t.Errorf("%s: %s", phase, taken(p))
		}
	}
	all[0].Cordoned = true
	p := Decide(input(all, replicas(1), seats(v1alpha1.PreheatReady, "a"), with(podOn("a"))))
	if taken(p) != "better=Ready" || len(p.Delete) != 1 {
		t.Errorf("a drained node keeps its seat: %s, deleted %v", taken(p), p.Delete)
	}
	p = Decide(input(nodes("a", "b", "c"), replicas(1), seats(v1alpha1.PreheatPending, "a"), seats(v1alpha1.PreheatReady, "b")))
	if taken(p) != "b=Ready" {
		t.Errorf("fewer replicas keep the node that is not ready: %s", taken(p))
	}
}

// phases of one node by what is observed.
func TestANodesPhaseIsWrong(t *testing.T) {
	kept := nodes("n")
	kept[0].Store = &Store{Kept: true, Observed: start}
	lacking := func(observed time.Duration) []Node {
		all := nodes("n")
		all[0].Store = &Store{Observed: start.Add(observed)}
		return all
	}
	overfull := lacking(time.Hour)
	overfull[0].Store.Omitted = true
	cameBack := nodes("n")
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
		"new":                       {input(nodes("n")), "Pending", "", 1, 0, 0},
		"has everything":            {input(kept), "Ready", "", 0, 0, 0},
		"has everything, and a pod": {input(kept, seats("Downloading", "n"), with(podOn("n"))), "Ready", "", 0, 1, 0},
		"no report":                 {input(nodes("n"), seats("Pending", "n"), with(podOn("n"))), "Pending", "", 0, 0, reportPatience},
		"no report for long": {input(nodes("n"), seats("Pending", "n"), with(podOn("n")), later(reportPatience)), "Failed",
			"RuntimeNotConnected", 0, 1, minBackoff},
		"downloads": {input(nodes("n"), seats("Pending", "n"), with(podOn("n", data(&Delivery{Reported: true})))),
			"Downloading", "", 0, 0, 0},
		"downloads for long": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", data(&Delivery{Reported: true}))),
			later(9*time.Hour)), "Downloading", "", 0, 0, 0},
		"delivered a moment ago": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", delivered(start)))), "Downloading",
			"Delivered", 0, 0, settling},
		"delivered": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", delivered(start))), later(settling)),
			"Ready", "", 0, 1, 0},
		"ended well": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", phase(corev1.PodSucceeded)))),
			"Ready", "", 0, 1, 0},
		"ended badly": {input(nodes("n"), seats("Downloading", "n"),
			with(podOn("n", phase(corev1.PodFailed), says("Evicted", "no disk")))), "Failed", "Evicted", 0, 1, minBackoff},
		"failed for good": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", data(failed)))), "Failed",
			"NotFound", 0, 1, minBackoff},
		"fails for now": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", data(failing)))), "Downloading",
			"InsufficientSpace", 0, 0, itemPatience},
		"fails for long": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", data(failing))), later(itemPatience)),
			"Failed", "InsufficientSpace", 0, 1, minBackoff},
		"unschedulable": {input(nodes("n"), seats("Pending", "n"), with(podOn("n", unplaced))), "Pending", "Unschedulable",
			0, 0, nodePatience},
		"unschedulable for long": {input(nodes("n"), seats("Pending", "n"), with(podOn("n", unplaced)), later(nodePatience)),
			"Failed", "Unschedulable", 0, 1, minBackoff},
		"without the runtime": {input(nodes("n"), seats("Pending", "n"), with(podOn("n", func(p *Pod) { p.Injected = false }))),
			"Failed", "PodsNotInjected", 0, 1, minBackoff},
		"its pod is deleted": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", deleting))), "Failed",
			"PodDeleted", 0, 0, minBackoff},
		"its pod is deleted when it has all": {input(nodes("n"), seats("Downloading", "n"), with(podOn("n", delivered(start), deleting))),
			"Ready", "", 0, 0, 0},
		"ready and its pod is leaving":  {input(nodes("n"), seats("Ready", "n"), with(podOn("n", deleting))), "Ready", "", 0, 0, 0},
		"failed and its pod is leaving": {input(nodes("n"), seats("Failed", "n"), with(podOn("n", deleting))), "Failed", "", 0, 0, minBackoff},
		"chosen again, its pod leaving": {input(nodes("n"), with(podOn("n", deleting))), "Pending", "", 0, 0, 0},
		"ready, nothing known":          {input(nodes("n"), seats("Ready", "n"), later(time.Hour)), "Ready", "", 0, 0, 0},
		"ready, an older report":        {input(lacking(reportLag), seats("Ready", "n"), later(time.Hour)), "Ready", "", 0, 0, 0},
		"ready, and lost":               {input(lacking(2*reportLag), seats("Ready", "n"), later(time.Hour)), "Pending", "NotInStore", 1, 0, 0},
		"ready, and perhaps omitted":    {input(overfull, seats("Ready", "n"), later(time.Hour)), "Ready", "", 0, 0, 0},
		"ready, came back":              {input(cameBack, seats("Ready", "n"), later(2*time.Hour)), "Pending", "NodeCameBack", 1, 0, 0},
		"downloading, pod gone":         {input(nodes("n"), seats("Downloading", "n")), "Pending", "", 1, 0, 0},
		"failed": {input(nodes("n"), seats("Failed", "n"), later(minBackoff-time.Second)), "Failed",
			"", 0, 0, time.Second},
		"failed, tried again": {input(nodes("n"), seats("Failed", "n"), later(minBackoff)), "Pending", "", 1, 0, 0},
		"no pod can be made":  {input(nodes("n"), func(in *Input) { in.Held = start.Add(time.Minute) }), "Pending", "Waiting", 0, 0, time.Minute},
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

func TestAReportThatTheDataWentIsOverlookedRightAfterItCame(t *testing.T) {
	all := nodes("n")
	all[0].Store = &Store{Kept: true, Observed: start}
	p := Decide(input(all))
	all[0].Store = &Store{Observed: start.Add(time.Second)}
	if p = Decide(input(all, func(in *Input) { in.State = p.State }, later(2*time.Second))); len(p.Create) != 1 {
		t.Errorf("%+v", p.State.Seats)
	}
}

func data(d *Delivery) func(*Pod) { return func(p *Pod) { p.Data = d } }

func delivered(at time.Time) func(*Pod) {
	return data(&Delivery{Reported: true, Delivered: true, DeliveredAt: at})
}

func phase(ph corev1.PodPhase) func(*Pod) { return func(p *Pod) { p.Phase = ph } }

func says(reason, message string) func(*Pod) {
	return func(p *Pod) { p.Reason, p.Message = reason, message }
}

func unplaced(p *Pod) { p.Node, p.Reason, p.Message = "", "Unschedulable", "0/3 nodes" }

func deleting(p *Pod) { p.Deleting = true }

func TestFailuresAreTriedAgainWithoutPause(t *testing.T) {
	for attempts, want := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute,
		5: 16 * time.Minute, 6: 30 * time.Minute, 1000: 30 * time.Minute} {
		if got := backoffAfter(attempts); got != want {
			t.Errorf("%d attempts: %s", attempts, got)
		}
	}
	in := input(nodes("n"), seats("Downloading", "n"))
	for attempt := 1; attempt <= 3; attempt++ {
		in.Pods = []Pod{podOn("n", phase(corev1.PodFailed), func(p *Pod) { p.Created = in.Now })}
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

func TestANodeThatFailsByItselfKeepsItsSeat(t *testing.T) {
	failed := func(reason string) func(*Input) {
		return func(in *Input) {
			in.State = State{Revision: "r1", Seats: map[string]Seat{"a": {Phase: v1alpha1.PreheatFailed, Reason: reason, Since: start, Attempts: 1}}}
		}
	}
	all := nodes("a", "b")
	p := Decide(input(all, replicas(1), failed(v1alpha1.ReasonInsufficientSpace)))
	if taken(p) != "b=Pending" || p.State.Passed["a"].Attempts != 1 {
		t.Errorf("%s, passed %v", taken(p), p.State.Passed)
	}
	if p := Decide(input(all, replicas(1), failed(v1alpha1.ReasonAccessDenied))); taken(p) != "a=Failed" {
		t.Errorf("the source refuses, and another node is tried: %s", taken(p))
	}
	// The other one fails too, more often: the first gets another chance, in its time.
	in := input(all, replicas(1), func(in *Input) { in.State = p.State })
	in.State.Seats["b"] = Seat{Phase: v1alpha1.PreheatFailed, Reason: v1alpha1.ReasonStoreFailed, Since: start, Attempts: 2}
	if p := Decide(in); taken(p) != "a=Failed" || p.Wake != minBackoff {
		t.Errorf("%s, wake %s", taken(p), p.Wake)
	}
}

func TestTheSourceIsStormed(t *testing.T) {
	for n, want := range map[int]int{1: 1, 3: 3, 5: 3, 30: 3, 31: 4, 200: 20} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("n%03d", i))
		}
		p := Decide(input(nodes(names...)))
		if len(p.Create) != want {
			t.Errorf("%d nodes: %d pods, want %d", n, len(p.Create), want)
		}
		if n < 5 {
			continue
		}
		// One that ends, and one that is on its way out.
		busy := []Pod{podOn("n000", deleting), podOn("n001", phase(corev1.PodRunning)), podOn("n002", phase(corev1.PodSucceeded))}
		p = Decide(input(nodes(names...), with(busy...), seats("Downloading", "n000", "n001", "n002")))
		if len(p.Create) != want-2 {
			t.Errorf("%d nodes, 2 busy: %d pods more, want %d", n, len(p.Create), want-2)
		}
	}
}

func TestLostNodesKeepOthersWaiting(t *testing.T) {
	all := nodes("a", "b", "c", "d", "e", "f")
	for i := range 3 {
		all[i].Ready = false
	}
	p := Decide(input(all, with(podOn("a", deleting), podOn("b", deleting), podOn("gone", deleting)), seats("Downloading", "a", "b")))
	if taken(p) != "d=Pending e=Pending f=Pending" || len(p.Create) != 3 {
		t.Errorf("%s, made %v", taken(p), p.Create)
	}
}

func TestAnotherRevisionIsMixedUpWithTheOneBefore(t *testing.T) {
	in := input(nodes("a", "b", "c"), replicas(2), seats("Ready", "a"), seats("Failed", "b"), with(podOn("b"), podOn("gone")))
	in.Revision = "r2"
	p := Decide(in)
	if taken(p) != "a=Pending b=Pending" || len(p.Delete) != 2 || len(p.Create) != 1 || p.State.Revision != "r2" {
		t.Errorf("%s, deleted %v, made %v", taken(p), p.Delete, p.Create)
	}
}

func TestAScheduleIsMissed(t *testing.T) {
	all := nodes("has", "unknown", "failed")
	all[0].Store = &Store{Kept: true, Observed: start}
	in := input(all, seats("Ready", "has", "unknown"), seats("Failed", "failed"), func(in *Input) { in.Spec.Schedule = "0 3 * * *" })
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

func TestARefusalThatPassesHoldsNodesUpForMinutes(t *testing.T) {
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
