// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// temper is what a revision does to the pods that get it.
type temper int

const (
	good temper = iota
	// itemFails: it cannot be delivered, and trying again does not help.
	itemFails
	// unready: the application cannot live with it.
	unready
	// blips: the application turns unready, and recovers.
	blips
	// restarts: the application crashes once.
	restarts
	// stuck: it is never delivered, for no known reason.
	stuck
	// prefetchFails: it cannot even be downloaded ahead.
	prefetchFails
	tempers
)

// actor is a pod of the model, with what the planner does not know of it.
type actor struct {
	Pod
	// turn counts its moves: what was under way for an earlier one is void.
	turn int
	// sick pods are not Ready under any revision.
	sick bool
	// pending pods have not started; some of them never do.
	pending bool
	// hung pods do not act on what they are told, for a time or for good.
	hung bool
	// hurt pods were available until a rollout moved them, and are not since.
	hurt bool
	// moves it made since the template changed or retry was requested.
	moves []string
	// ahead is the revision that it prefetches, and what came of it.
	ahead              string
	aheadDone, aheadNo bool
}

type happening struct {
	at time.Time
	do func()
}

// world is a model of a DataSet with its pods, and of a manager that may crash
// at any point. Passes are made when something happened, or when a plan said so.
type world struct {
	*rand.Rand
	in      Input
	now     time.Time
	pods    []*actor
	born    int
	events  []happening
	tempers map[string]temper
	reach   map[string]Reach
	plan    Plan
	// before is what the plan was made from.
	before  []Pod
	touched map[string]int
	trace   []string
	// broken is the first invariant that was violated.
	broken string
	// measuring is the step of which a measurement is under way, or -1.
	measuring int
	// final is a phase that only a user may end.
	final v1alpha1.RolloutPhase
	// checkInput, where it is set, checks more of what every plan is made from.
	checkInput func(Input)
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(seed uint64) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 7)), now: epoch, measuring: -1,
		tempers: map[string]temper{}, reach: map[string]Reach{}, touched: map[string]int{},
	}
	w.in = Input{
		Strategy:         rolling(pick(w, "1", "2", "25%", "50%"), pick(w, "", "", "", "1", "30%")),
		Prefetch:         w.IntN(3) == 0,
		FailurePolicy:    pick(w, v1alpha1.FailurePolicyPause, v1alpha1.FailurePolicyRollback, v1alpha1.FailurePolicyContinue),
		FailureThreshold: ptr(intstr.FromInt32(int32(1 + w.IntN(3)))),
		ProgressDeadline: 10 * time.Minute,
		Update:           Revision{Name: "r0"},
	}
	w.in.Strategy.RollingUpdate.MinReadySeconds = int32(pick(w, 0, 0, 5, 30))
	if w.IntN(4) == 0 {
		w.in.Strategy.RollingUpdate.TopologyKey = "zone"
	}
	if w.IntN(3) == 0 {
		w.in.Strategy.Steps = w.steps()
	}
	for range w.IntN(12) {
		w.bear()
	}
	return w
}

func pick[T any](w *world, from ...T) T { return from[w.IntN(len(from))] }

func ptr[T any](v T) *T { return &v }

func (w *world) steps() []v1alpha1.RolloutStep {
	var steps []v1alpha1.RolloutStep
	for range 1 + w.IntN(4) {
		switch w.IntN(4) {
		case 0:
			steps = append(steps, v1alpha1.RolloutStep{Pause: &v1alpha1.PauseStep{Duration: &metav1.Duration{Duration: time.Minute}}})
		case 1:
			steps = append(steps, v1alpha1.RolloutStep{Analysis: &v1alpha1.AnalysisStep{Count: 2, FailureLimit: int32(w.IntN(2))}})
		default:
			value := intstr.Parse(pick(w, "90%", "60%", "2", "0"))
			steps = append(steps, v1alpha1.RolloutStep{Partition: &value})
		}
	}
	return steps
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%6.1fs ", w.now.Sub(epoch).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) violated(format string, args ...any) {
	w.note("VIOLATED: "+format, args...)
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.events = append(w.events, happening{w.now.Add(d), do})
}

func (w *world) soon(most time.Duration) time.Duration {
	return time.Duration(1 + w.Int64N(int64(most)))
}

// bear makes a pod, which gets its revision in the next pass.
func (w *world) bear() {
	w.born++
	name := fmt.Sprintf("web-%d", w.born)
	w.pods = append(w.pods, &actor{
		Pod:  Pod{UID: types.UID(name), Name: name, Born: w.second(), Group: pick(w, "", "east", "west"), ReadySince: w.second()},
		sick: w.IntN(15) == 0,
	})
	w.note("born %s", name)
	if w.IntN(6) == 0 {
		w.hold(w.pods[len(w.pods)-1])
	}
}

// hold keeps a new pod from starting, for a time or for good.
func (w *world) hold(a *actor) {
	a.pending, a.NotStarted, a.Group = true, true, ""
	w.note("%s does not start", a.Name)
	if w.IntN(2) == 0 {
		return
	}
	w.after(w.soon(10*time.Minute), func() {
		a.pending, a.NotStarted, a.Group = false, false, pick(w, "east", "west")
		w.note("%s starts with %s", a.Name, a.Revision)
		if a.Revision != "" {
			w.inTurn(a, w.soon(20*time.Second), func() { w.arrive(a) })
		}
	})
}

func (w *world) second() time.Time { return w.now.Truncate(time.Second) }

// give tells a pod what to have.
func (w *world) give(a *actor, revision string, move bool) {
	if move {
		if a.Delivered && a.Ready {
			a.hurt = true
			w.touched[revision]++
		}
		a.moves = append(a.moves, revision)
		since := metav1.NewTime(a.ReadySince)
		a.Baseline = &v1alpha1.PodHealth{Ready: a.Ready, ReadyTransitionTime: &since, Restarts: a.Restarts, RuntimeRestarts: a.RuntimeRestarts}
	}
	a.turn++
	a.Revision, a.Delivered, a.Failed, a.FailedMessage = revision, false, false, ""
	if a.pending {
		w.after(w.soon(time.Second), func() {}) // its Data changed
		return
	}
	w.reach[revision] = max(w.reach[revision], Assigned)
	w.inTurn(a, w.soon(20*time.Second), func() { w.arrive(a) })
}

// inTurn does something later, unless the pod is moved before.
func (w *world) inTurn(a *actor, d time.Duration, do func()) {
	turn := a.turn
	w.after(d, func() {
		if a.turn == turn {
			do()
		}
	})
}

// hang has a pod's runtime act on nothing, for a time or for good.
func (w *world) hang(a *actor) {
	if a.hung {
		return
	}
	a.hung = true
	w.note("%s hangs", a.Name)
	if w.IntN(2) == 0 {
		return
	}
	w.after(w.soon(10*time.Minute), func() {
		a.hung = false
		w.note("%s goes on", a.Name)
		if a.Revision != "" && !a.Delivered && !a.pending {
			w.inTurn(a, w.soon(20*time.Second), func() { w.arrive(a) })
		}
	})
}

// relabel takes a pod out of the selection. It lives on, and may come back: as one
// that was never told anything, whatever it has.
func (w *world) relabel(i int) {
	a := w.pods[i]
	a.turn++
	w.pods = slices.Delete(w.pods, i, i+1)
	w.note("%s is relabelled", a.Name)
	if w.IntN(2) == 0 {
		return
	}
	w.after(w.soon(10*time.Minute), func() {
		a.turn++
		a.Revision, a.Delivered, a.Failed, a.FailedMessage, a.Baseline = "", false, false, "", nil
		a.hurt, a.moves, a.ahead, a.aheadDone, a.aheadNo = false, nil, "", false, false
		w.pods = append(w.pods, a)
		w.note("%s is relabelled back", a.Name)
	})
}

func (w *world) arrive(a *actor) {
	if a.hung {
		return
	}
	switch w.tempers[a.Revision] {
	case itemFails, prefetchFails:
		a.Failed, a.FailedMessage = true, "item m: NotFound"
		w.note("%s: %s cannot be delivered", a.Name, a.Revision)
		return
	case stuck:
		return
	}
	a.Delivered, a.DeliveredAt = true, w.second()
	w.reach[a.Revision] = Delivered
	w.note("%s has %s", a.Name, a.Revision)
	w.heal(a)
	switch w.tempers[a.Revision] {
	case unready:
		w.inTurn(a, w.soon(10*time.Second), func() { w.ready(a, false) })
	case blips:
		w.inTurn(a, w.soon(10*time.Second), func() {
			w.ready(a, false)
			w.inTurn(a, time.Second+w.soon(10*time.Second), func() { w.ready(a, true) })
		})
	case restarts:
		w.inTurn(a, w.soon(10*time.Second), func() { a.Restarts++ })
	default:
		w.inTurn(a, w.soon(15*time.Second), func() { w.ready(a, true) })
	}
}

func (w *world) heal(a *actor) {
	if a.Delivered && a.Ready {
		a.hurt = false
	}
}

func (w *world) ready(a *actor, ready bool) {
	ready = ready && !a.sick
	if a.Ready == ready {
		return
	}
	if a.Delivered && a.Ready && a.Baseline != nil && a.Baseline.Ready && a.Revision == w.in.Update.Name {
		a.hurt = true
	}
	a.Ready, a.ReadySince = ready, w.second()
	w.note("%s ready: %v", a.Name, ready)
	w.heal(a)
}

// prefetch has the pods prefetch what the plan says.
func (w *world) prefetch() {
	for _, a := range w.pods {
		want := w.plan.Prefetch
		if a.Revision == want || a.Revision == "" || a.pending {
			want = ""
		}
		if a.ahead == want {
			continue
		}
		a.ahead, a.aheadDone, a.aheadNo = want, false, false
		if want == "" || w.tempers[want] == stuck {
			continue
		}
		w.after(w.soon(time.Minute), func() {
			if a.ahead == want {
				a.aheadNo = w.tempers[want] == prefetchFails
				a.aheadDone = !a.aheadNo
			}
		})
	}
}

// observed is what the planner is told.
func (w *world) observed() Input {
	in := w.in
	in.Now = w.now
	in.Current.Reach, in.Update.Reach = w.reach[in.Current.Name], w.reach[in.Update.Name]
	in.Pods = nil
	for _, a := range w.pods {
		p := a.Pod
		if a.ahead == in.Update.Name {
			p.Prefetched, p.PrefetchFailed, p.PrefetchMessage = a.aheadDone, a.aheadNo, "NotFound"
		}
		in.Pods = append(in.Pods, p)
	}
	w.Shuffle(len(in.Pods), func(i, j int) { in.Pods[i], in.Pods[j] = in.Pods[j], in.Pods[i] })
	return in
}

// pass plans and carries the plan out, or a part of it. It reports whether the
// manager lived to the end of it.
func (w *world) pass() bool {
	in := w.observed()
	w.plan, w.before = Decide(in), in.Pods
	w.checkPlan(in)
	if w.IntN(20) == 0 {
		w.note("crash before the status is written")
		return false
	}
	w.in.State, w.in.Current.Name = w.plan.State.DeepCopy(), w.plan.Current
	w.in.Measurement = nil
	if w.IntN(20) == 0 {
		w.note("crash after the status is written")
		return false
	}
	for _, m := range w.plan.Moves {
		if w.IntN(20) == 0 {
			w.note("crash between two moves")
			return false
		}
		a := w.pods[slices.IndexFunc(w.pods, func(a *actor) bool { return a.UID == m.UID })]
		w.note("move %s %s → %s", a.Name, a.Revision, m.Revision)
		w.give(a, m.Revision, !a.pending)
	}
	for _, a := range w.pods {
		if a.Revision == "" {
			w.give(a, w.plan.New, false)
		}
	}
	w.prefetch()
	w.measure()
	w.checkPods()
	return true
}

// measure takes the measurement that is due; its result is there some time later.
func (w *world) measure() {
	step := w.plan.Measure
	if step < 0 || w.measuring == step {
		return
	}
	w.measuring = step
	w.after(w.soon(3*time.Second), func() {
		w.measuring = -1
		w.in.Measurement = &Measurement{Step: step, Time: w.now, OK: w.tempers[w.in.Update.Name] != unready, Message: "0.5"}
	})
}
