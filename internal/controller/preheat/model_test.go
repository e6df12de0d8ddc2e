// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// world is a cluster that behaves as badly as one may, and then well.
type world struct {
	t      *testing.T
	random *rand.Rand
	in     Input
	plan   Plan
	nodes  map[string]*machine
	pods   map[string]*Pod
	// onNode is the node that a pod was made for.
	onNode map[string]string
	log    []string
	// calm: nothing bad happens any more.
	calm bool
}

// machine is a node with what is on its disk.
type machine struct {
	Node
	revision string
	// reported: what the disk holds was said since the machine came up.
	reported bool
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 17)), nodes: map[string]*machine{}, pods: map[string]*Pod{},
		onNode: map[string]string{}}
	w.in = Input{DataSet: "model", UID: "u", Revision: "r0", Now: start}
	for i := range 2 + w.random.IntN(40) {
		w.addNode(fmt.Sprintf("n%02d", i))
	}
	if w.random.IntN(2) == 0 {
		n := int32(1 + w.random.IntN(len(w.nodes)))
		w.in.Spec.Replicas = &n
	}
	if w.random.IntN(3) == 0 {
		w.in.Spec.Schedule = "*/30 * * * *"
	}
	return w
}

func (w *world) addNode(name string) {
	w.nodes[name] = &machine{Node: Node{Name: name, Ready: true, ReadySince: w.in.Now}}
}

func (w *world) noteEvent(format string, args ...any) {
	w.log = append(w.log, w.in.Now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

func (w *world) reportViolation(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(w.log[max(0, len(w.log)-40):], "\n"))
}

// observeInput fills in what the planner sees.
func (w *world) observeInput() Input {
	in := w.in
	in.State = w.plan.State
	in.Nodes, in.Pods = nil, nil
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		m := w.nodes[name]
		n := m.Node
		if m.reported {
			n.Store = &Store{Observed: w.in.Now, Kept: m.revision == w.in.Revision}
		}
		in.Nodes = append(in.Nodes, n)
	}
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		in.Pods = append(in.Pods, *w.pods[name])
	}
	return in
}

// runPass plans, checks the plan and carries it out.
func (w *world) runPass() {
	in := w.observeInput()
	w.plan = Decide(in)
	if again := Decide(in); !reflect.DeepEqual(again, w.plan) {
		w.reportViolation("the same input leads to another plan:\n%+v\n%+v", w.plan, again)
	}
	w.checkPlan(in)
	for _, name := range w.plan.Delete {
		w.noteEvent("delete %s of %s", name, w.onNode[name])
		if p := w.pods[name]; p.Phase == corev1.PodPending && w.random.IntN(2) == 0 {
			delete(w.pods, name)
		} else {
			p.Deleting = true
		}
	}
	for _, node := range w.plan.Create {
		name := PodName(w.in.DataSet, w.in.UID, node, w.in.Revision)
		w.noteEvent("create %s on %s", name, node)
		w.pods[name] = &Pod{Name: name, Created: w.in.Now.Truncate(time.Second), Phase: corev1.PodPending, Injected: true, Data: &Delivery{}}
		w.onNode[name] = node
	}
	w.checkWake()
}

// checkWake: time alone changes nothing until the plan asks to be looked at. What
// the plan did itself is an event.
func (w *world) checkWake() {
	if len(w.plan.Create)+len(w.plan.Delete) > 0 {
		return
	}
	in := w.observeInput()
	if w.plan.Wake > 0 {
		in.Now = in.Now.Add(w.plan.Wake - 1)
	} else {
		in.Now = in.Now.Add(24 * time.Hour)
	}
	for i := range in.Nodes {
		if s := in.Nodes[i].Store; s != nil {
			s.Observed = w.in.Now
		}
	}
	if later := Decide(in); len(later.Create) > 0 || len(later.Delete) > 0 || !reflect.DeepEqual(planPhases(later), planPhases(w.plan)) {
		w.reportViolation("no look is due, but %s later the plan is another:\n%v %v %v\n%v", in.Now.Sub(w.in.Now), later.Create, later.Delete,
			planPhases(later), planPhases(w.plan))
	}
}

func planPhases(p Plan) map[string]v1alpha1.PreheatPhase {
	all := map[string]v1alpha1.PreheatPhase{}
	for name, seat := range p.State.Seats {
		all[name] = seat.Phase
	}
	return all
}

func (w *world) checkPlan(in Input) {
	p := w.plan
	fit := 0
	for _, m := range w.nodes {
		if m.Ready && !m.Cordoned && !m.Tainted {
			fit++
		}
	}
	wanted := fit
	if in.Spec.Replicas != nil {
		wanted = min(fit, int(*in.Spec.Replicas))
	}
	if len(p.State.Seats) != wanted {
		w.reportViolation("%d seats, want %d", len(p.State.Seats), wanted)
	}
	running := 0
	for _, pod := range w.pods {
		m := w.nodes[pod.Node]
		lost := pod.Deleting && pod.Node != "" && (m == nil || !m.Ready)
		if pod.Phase != corev1.PodSucceeded && pod.Phase != corev1.PodFailed && !lost {
			running++
		}
	}
	if most := max(3, (wanted+9)/10); len(p.Create) > 0 && running+len(p.Create) > most {
		w.reportViolation("%d pods run and %d are made, at most %d may", running, len(p.Create), most)
	}
	for _, node := range p.Create {
		m := w.nodes[node]
		if m == nil || !m.Ready || m.Cordoned || m.Tainted {
			w.reportViolation("a pod for %s, which takes none: %+v", node, m)
		}
		if w.pods[PodName(in.DataSet, in.UID, node, in.Revision)] != nil {
			w.reportViolation("a second pod for %s", node)
		}
		if m.reported && m.revision == in.Revision {
			w.reportViolation("a pod for %s, which has everything", node)
		}
		before := in.State.Seats[node]
		if w.calm && in.State.Revision == in.Revision && before.Phase == v1alpha1.PreheatReady && m.revision == in.Revision &&
			in.Spec.Schedule == "" && !m.ReadySince.After(before.Since) {
			w.reportViolation("%s was ready, is untouched, and gets a pod", node)
		}
	}
	for name, seat := range in.State.Seats {
		m := w.nodes[name]
		if _, ok := p.State.Seats[name]; ok || in.Spec.Replicas == nil || m == nil || !m.Ready || m.Cordoned || m.Tainted ||
			seat.Phase == v1alpha1.PreheatFailed {
			continue
		}
		if p.State.Passed[name].Phase != v1alpha1.PreheatFailed {
			w.reportViolation("%s (%s) lost its seat for nothing: %v", name, seat.Phase, planPhases(p))
		}
	}
}

// livePods lets pods get on, well or badly.
func (w *world) livePods() {
	for _, name := range slices.Sorted(maps.Keys(w.pods)) {
		pod := w.pods[name]
		node := w.nodes[w.onNode[name]]
		switch {
		case pod.Deleting:
			if w.random.IntN(3) > 0 {
				delete(w.pods, name)
			}
		case node == nil:
			pod.Deleting = true
		case !node.Ready || pod.Phase == corev1.PodSucceeded || pod.Phase == corev1.PodFailed:
		case pod.Node == "":
			if w.calm || w.random.IntN(8) > 0 {
				pod.Node, pod.Reason, pod.Message = node.Name, "", ""
			} else {
				pod.Reason = reasonUnschedulable
			}
		case !w.calm && w.random.IntN(12) == 0:
			w.harmPod(pod)
		case w.random.IntN(3) == 0:
			w.deliverTo(pod, node)
		default:
			pod.Data.Reported, pod.Data.Permanent, pod.Data.Failing, pod.Data.Reason = true, false, false, ""
		}
	}
}

func (w *world) harmPod(pod *Pod) {
	switch w.random.IntN(4) {
	case 0:
		pod.Phase = corev1.PodFailed
	case 1:
		pod.Deleting = true
	case 2:
		*pod.Data = Delivery{Reported: true, Permanent: true, Reason: v1alpha1.ReasonAccessDenied}
	case 3:
		*pod.Data = Delivery{Reported: true, Failing: true, Reason: v1alpha1.ReasonInsufficientSpace}
	}
	w.noteEvent("%s is harmed: %s %+v", w.onNode[pod.Name], pod.Phase, *pod.Data)
}

// deliverTo is the end of a delivery of the revision that the pod was made for.
func (w *world) deliverTo(pod *Pod, node *machine) {
	for _, r := range []string{"r0", "r1", "r2"} {
		if pod.Name == PodName(w.in.DataSet, w.in.UID, node.Name, r) {
			node.revision = r
		}
	}
	node.reported = w.random.IntN(4) > 0
	pod.Data = &Delivery{Reported: true, Delivered: true, DeliveredAt: w.in.Now}
	if w.random.IntN(2) == 0 {
		pod.Phase = corev1.PodSucceeded
	}
	w.noteEvent("%s has %s, reported %v", node.Name, node.revision, node.reported)
}

// disturbWorld does something to the nodes, or to what is wanted.
func (w *world) disturbWorld() {
	names := slices.Sorted(maps.Keys(w.nodes))
	name := names[w.random.IntN(len(names))]
	m := w.nodes[name]
	switch w.random.IntN(9) {
	case 0:
		m.Cordoned = !m.Cordoned
	case 1:
		m.Tainted = !m.Tainted
	case 2:
		m.Ready = false
	case 3:
		*m = machine{Node: Node{Name: name, Ready: true, ReadySince: w.in.Now}} // wiped
	case 4:
		if len(names) > 2 {
			delete(w.nodes, name)
		}
	case 5:
		w.addNode(fmt.Sprintf("x%d", w.random.IntN(1000)))
	case 6:
		m.revision, m.reported = "", m.reported && m.Ready // evicted
	case 7:
		w.in.Revision = fmt.Sprintf("r%d", w.random.IntN(3))
	case 8:
		w.in.Held = w.in.Now.Add(time.Duration(w.random.IntN(300)) * time.Second)
	}
	w.noteEvent("disturbed %s: %+v, revision %s", name, *m, w.in.Revision)
}

func (w *world) settleWorld() {
	w.calm = true
	for _, m := range w.nodes {
		if !m.Ready {
			m.Ready, m.ReadySince, m.reported = true, w.in.Now, false
		}
	}
}

func (w *world) allReady() bool {
	for _, seat := range w.plan.State.Seats {
		if seat.Phase != v1alpha1.PreheatReady {
			return false
		}
	}
	return true
}

func TestAllNodesAreReadyInTheEnd(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(t, seed)
		for range 60 {
			w.runPass()
			w.in.Now = w.in.Now.Add(time.Duration(w.random.IntN(90_000)) * time.Millisecond)
			w.livePods()
			if w.random.IntN(3) == 0 {
				w.disturbWorld()
			}
		}
		w.settleWorld()
		for i := 0; ; i++ {
			w.runPass()
			if w.allReady() && len(w.pods) == 0 {
				break
			}
			if i > 2000 {
				w.reportViolation("seed %d: not all are ready after %d passes: %v", seed, i, w.plan.State.Seats)
			}
			w.in.Now = w.in.Now.Add(20 * time.Second)
			w.livePods()
		}
		// Nothing more is done.
		for range 10 {
			w.in.Now = w.in.Now.Add(time.Minute)
			w.runPass()
			if w.in.Spec.Schedule == "" && (!w.allReady() || len(w.plan.Create)+len(w.plan.Delete) > 0) {
				w.reportViolation("seed %d: it flaps", seed)
			}
		}
	}
}
