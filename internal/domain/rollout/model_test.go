// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// checkPlan holds what must be true of every plan.
func (w *world) checkPlan(in Input) {
	if w.checkInput != nil {
		w.checkInput(in)
	}
	p := w.plan
	w.note("%s step %d of %s (stable %s), %q %s, waits %q, %d moves, wake %s",
		p.State.Phase, p.State.Step, p.State.Revision, p.Current, p.State.Reason, p.State.Message, p.Waits, len(p.Moves), p.Wake)
	if !w.in.Paused && p.New != p.Current {
		w.violated("new pods get %s, stable is %s", p.New, p.Current)
	}
	if p.Current != in.Current.Name && p.Current != in.Update.Name {
		w.violated("%s is stable out of the blue", p.Current)
	}
	takesOver := p.State.Phase == v1alpha1.RolloutDelivering && len(in.Pods) == 0
	if p.Current != in.Current.Name && in.Current.Reach == Delivered && p.State.Phase != v1alpha1.RolloutCompleted && !takesOver {
		w.violated("%s is stable before its rollout ended: %s", p.Current, p.State.Phase)
	}
	w.checkOutcome(in)
	asked := in.State != nil && in.State.Request != p.State.Request
	if asked && strings.HasPrefix(p.State.Request, v1alpha1.RequestRetry) {
		w.newTry()
	}
	if in.State != nil && in.State.Reason == v1alpha1.ReasonRetrying && p.State.Reason != v1alpha1.ReasonRetrying {
		for _, a := range w.pods {
			a.moves = nil // the way back was the beginning of the new try
		}
	}
	if w.final != "" && p.State.Phase != w.final && !asked && !w.mayGoOn(p.State) {
		w.violated("%s turned to %s by itself", w.final, p.State.Phase)
	}
	w.final = ""
	if ph := p.State.Phase; ph == v1alpha1.RolloutStopped || ph == v1alpha1.RolloutRolledBack {
		w.final = ph
	}
	if len(p.State.Message) > maxMessage || len(p.State.FailedPods) > maxFailedPods || !slices.IsSorted(p.Failed) {
		w.violated("the state exceeds its limits: %+v", p.State)
	}
	for _, name := range p.State.FailedPods {
		if known := in.State != nil && slices.Contains(in.State.FailedPods, name); !known && p.Failures[name] == "" {
			w.violated("pod %s failed, and nothing says why", name)
		}
	}
	again := in
	again.State, again.Current.Name, again.Measurement = &p.State, p.Current, nil
	if second := Decide(again); !same(second, p) {
		w.violated("the same state leads to another plan:\n%+v\n%+v", p, second)
	}
	w.checkWake(again)
	w.checkPartition(in)
	w.checkNotStarted(in)
	w.checkBudget(in)
}

// checkOutcome: a revision that succeeded was complete on a pod, and until one was, its
// first delivery is not over.
func (w *world) checkOutcome(in Input) {
	p := w.plan
	worked := w.reach[in.Update.Name] == Delivered
	if !worked && (p.State.Phase == v1alpha1.RolloutCompleted || p.Outcome == v1alpha1.OutcomeSucceeded) {
		w.violated("%s is %s (%s), and no pod ever had all of it", p.State.Revision, p.State.Phase, p.Outcome)
	}
	if first := p.Current == p.State.Revision && !worked; first && p.State.Phase != v1alpha1.RolloutDelivering {
		w.violated("the first delivery of %s is %s", p.State.Revision, p.State.Phase)
	}
	if ended := p.Outcome != v1alpha1.OutcomeRunning; ended != slices.Contains([]v1alpha1.RolloutPhase{v1alpha1.RolloutCompleted,
		v1alpha1.RolloutStopped, v1alpha1.RolloutRolledBack}, p.State.Phase) {
		w.violated("%s, outcome %s", p.State.Phase, p.Outcome)
	}
}

// checkBudget: a rollout that has available pods to move moves none only while
// unavailable pods use up its budget. Whatever these are unavailable for (they hang,
// fail, came back), each of them counts once.
func (w *world) checkBudget(in Input) {
	rolling := in.Strategy.RollingUpdate
	waits := []Wait{WaitsForBudget, WaitsForDelivery, WaitsForReady}
	moves := []v1alpha1.RolloutPhase{v1alpha1.RolloutDelivering, v1alpha1.RolloutProgressing}
	if !slices.Contains(waits, w.plan.Waits) || len(w.plan.Moves) > 0 || !slices.Contains(moves, w.plan.State.Phase) ||
		rolling.TopologyKey != "" {
		return
	}
	started, _ := splitStarted(in.Pods)
	unavailable, others := 0, 0
	for _, p := range started {
		if p.Delivered && p.Ready && p.Revision != in.Update.Name {
			others++
		}
		since := p.ReadySince
		if p.DeliveredAt.After(since) {
			since = p.DeliveredAt
		}
		proves := p.Revision == in.Update.Name && p.Baseline != nil &&
			in.Now.Before(since.Add(time.Duration(rolling.MinReadySeconds+1)*time.Second))
		if !p.Delivered || !p.Ready || proves {
			unavailable++
		}
	}
	if most := maxUnavailableOf(in); others > w.plan.HeldBack && unavailable < most {
		w.violated("%d pods are to be moved and none is: %d of %d pods are unavailable, %d may be", others-w.plan.HeldBack,
			unavailable, len(started), most)
	}
}

// checkNotStarted: pods that have not started change nothing for the others.
func (w *world) checkNotStarted(in Input) {
	started, notStarted := splitStarted(in.Pods)
	if len(notStarted) == 0 || len(started) == 0 {
		return
	}
	p := w.plan
	if p.NotStarted != len(notStarted) {
		w.violated("%d pods have not started, the plan counts %d", len(notStarted), p.NotStarted)
	}
	p.NotStarted = 0
	p.Moves = slices.DeleteFunc(slices.Clone(p.Moves), func(m Move) bool {
		return slices.ContainsFunc(notStarted, func(n Pod) bool { return n.UID == m.UID })
	})
	in.Pods = started
	alone := Decide(in)
	if len(p.Moves) == 0 && len(alone.Moves) == 0 {
		p.Moves = alone.Moves
	}
	if !reflect.DeepEqual(p, alone) {
		w.violated("pods that have not started change the plan for the others:\n%+v\n%+v", p, alone)
	}
}

// checkWake: until the plan asks to be looked at again, time alone changes nothing.
func (w *world) checkWake(in Input) {
	p, wait := w.plan, 365*24*time.Hour
	if p.Wake > 0 {
		wait = p.Wake - time.Microsecond
	}
	in.Now = in.Now.Add(wait)
	later := Decide(in)
	if later.Wake = p.Wake; p.Measure < 0 && !same(later, p) {
		w.violated("no look is due, but after %s the plan is another:\n%+v\n%+v", wait, later, p)
	}
}

// same reports whether plans do the same. Failures explain what led to a state: in the one
// that ends a rollout pods are not judged any more.
func same(a, b Plan) bool {
	a.Failures = b.Failures
	return reflect.DeepEqual(a, b)
}

// mayGoOn reports whether a rollout has nothing to be held by: it has no revision to
// return to.
func (w *world) mayGoOn(s v1alpha1.RolloutStatus) bool { return w.plan.Current == s.Revision }

// maxUnavailableOf returns how many of the pods that have started may be unavailable.
func maxUnavailableOf(in Input) int {
	in.Pods, _ = splitStarted(in.Pods)
	return in.maxUnavailable()
}

func (w *world) checkPartition(in Input) {
	update := in.Update.Name
	if w.plan.Current == update || w.plan.State.Phase == v1alpha1.RolloutCompleted {
		return
	}
	moved, left := 0, 0
	in.Pods, _ = splitStarted(in.Pods)
	started := map[types.UID]bool{}
	for _, p := range in.Pods {
		started[p.UID] = true
		if p.Revision != update {
			left++
		}
	}
	for _, m := range w.plan.Moves {
		if m.Revision == update && started[m.UID] {
			moved++
		}
	}
	kept := 0
	if v := in.Strategy.RollingUpdate.Partition; v != nil {
		kept = scaledValue(*v, len(in.Pods))
	}
	if i := int(w.plan.State.Step); i < len(in.Strategy.Steps) {
		now := len(in.Pods)
		for _, s := range in.Strategy.Steps[:i+1] {
			if s.Partition != nil {
				now = scaledValue(*s.Partition, len(in.Pods))
			}
		}
		kept = max(kept, now)
	}
	if moved > 0 && left-moved < kept {
		w.violated("%d of %d pods are left on the stable revision, %d are to be", left-moved, len(in.Pods), kept)
	}
	if moved > 0 && (in.Paused || w.plan.State.Phase != v1alpha1.RolloutProgressing) {
		w.violated("moves while paused (%v) or %s", in.Paused, w.plan.State.Phase)
	}
}

// checkPods holds what must be true of the pods after every pass.
func (w *world) checkPods() {
	hurt := 0
	for _, a := range w.pods {
		if a.hurt {
			hurt++
		}
		tries := 0
		for _, m := range a.moves {
			if m == w.in.Update.Name {
				tries++
			}
		}
		// From a third revision to the stable one, to the update revision, and
		// back: that is the longest way of one try.
		if tries > 1 || len(a.moves) > 3 {
			w.violated("%s flaps: %v", a.Name, a.moves)
		}
	}
	in := w.observed()
	most := maxUnavailableOf(in)
	// Pods that fail by themselves after a move, or a fleet that shrank, are not
	// moves; only a move adds to what the rollout hurts.
	if hurt > most && slices.ContainsFunc(w.plan.Moves, w.hurts) {
		w.violated("%d pods are unavailable because of the rollout, at most %d may", hurt, most)
	}
}

// hurts reports whether the last plan took a pod that was available.
func (w *world) hurts(m Move) bool {
	for _, a := range w.pods {
		if a.UID == m.UID {
			return a.hurt && a.Baseline.Ready && w.wasAvailable(a)
		}
	}
	return false
}

func (w *world) wasAvailable(a *actor) bool {
	return !slices.ContainsFunc(w.before, func(p Pod) bool { return p.UID == a.UID && (!p.Delivered || !p.Ready) })
}

// newTry starts a new account: the template changed, or retry was requested.
func (w *world) newTry() {
	w.final = ""
	for _, a := range w.pods {
		a.moves, a.hurt = nil, false
	}
}

// meddle is what users and the cluster do.
func (w *world) meddle() {
	switch w.IntN(17) {
	case 0, 1:
		w.edit(pick(w, w.in.Current.Name, fmt.Sprintf("r%d", len(w.tempers)), fmt.Sprintf("r%d", len(w.tempers))))
	case 2:
		w.in.Paused = !w.in.Paused
		w.note("paused: %v", w.in.Paused)
	case 3, 4, 5:
		w.request(pick(w, v1alpha1.RequestPromote, v1alpha1.RequestPromoteFull, v1alpha1.RequestAbort, v1alpha1.RequestRetry))
	case 6, 7:
		w.bear()
	case 8, 9:
		if len(w.pods) > 0 {
			i := w.IntN(len(w.pods))
			w.note("%s dies", w.pods[i].Name)
			w.pods[i].turn++
			w.pods = slices.Delete(w.pods, i, i+1)
		}
	case 13, 14:
		if len(w.pods) > 0 {
			w.hang(pick(w, w.pods...))
		}
	case 15, 16:
		if len(w.pods) > 0 {
			w.relabel(w.IntN(len(w.pods)))
		}
	case 10:
		w.in.FailurePolicy = pick(w, v1alpha1.FailurePolicyPause, v1alpha1.FailurePolicyRollback)
	case 11:
		// The runtime of a pod is killed, or its node loses power.
		if len(w.pods) > 0 {
			a := pick(w, w.pods...)
			w.note("%s is interrupted", a.Name)
			w.ready(a, false)
			a.hurt, a.RuntimeDown = false, true
			w.after(w.soon(time.Minute), func() {
				a.RuntimeDown, a.RuntimeStarted = false, w.second()
				a.RuntimeRestarts++
				w.after(w.soon(10*time.Second), func() { w.ready(a, a.Delivered) })
			})
		}
	default:
		// A pod fails by itself, for a time.
		if len(w.pods) > 0 {
			a := pick(w, w.pods...)
			w.ready(a, false)
			a.hurt = false
			w.after(w.soon(time.Minute), func() { w.ready(a, a.Delivered) })
		}
	}
}

func (w *world) edit(revision string) {
	if revision == "" || revision == w.in.Update.Name {
		return
	}
	if _, known := w.tempers[revision]; !known {
		w.tempers[revision] = good
		if w.IntN(2) == 0 {
			w.tempers[revision] = temper(w.IntN(int(tempers)))
		}
	}
	w.note("edit: %s, temper %d", revision, w.tempers[revision])
	w.in.Update = Revision{Name: revision}
	w.newTry()
	for _, a := range w.pods {
		if a.Revision == revision {
			a.Baseline = nil // as the controller forgives
		}
	}
}

func (w *world) request(verb string) {
	w.in.Request = fmt.Sprintf("%s %s t%d", verb, w.in.Update.Name, w.IntN(1000))
	w.note("request %s", w.in.Request)
}

// live lets time pass until nothing is left to happen, and reports whether that came to be.
func (w *world) live(meddling int) bool {
	at := epoch
	for range meddling {
		at = at.Add(w.soon(4 * time.Minute))
		w.events = append(w.events, happening{at, w.meddle})
	}
	for range 5000 {
		for !w.pass() && w.broken == "" {
			w.measuring = -1
		}
		if w.broken != "" {
			return true
		}
		next, ok := w.next()
		if !ok {
			return true
		}
		w.now = next
		w.happen()
	}
	return false
}

// next returns when something happens, or a plan wants to be looked at again.
func (w *world) next() (at time.Time, ok bool) {
	for _, e := range w.events {
		if !ok || e.at.Before(at) {
			at, ok = e.at, true
		}
	}
	if w.plan.Wake > 0 && (!ok || w.now.Add(w.plan.Wake).Before(at)) {
		at, ok = w.now.Add(w.plan.Wake), true
	}
	return at, ok
}

func (w *world) happen() {
	var later []happening
	var now []happening
	for _, e := range w.events {
		if e.at.After(w.now) {
			later = append(later, e)
		} else {
			now = append(now, e)
		}
	}
	w.events = later
	for _, e := range now {
		e.do()
	}
}

// TestPromise10 plays generated histories of edits, births, deaths, failures,
// requests and crashes of the manager.
func TestPromise10ARolloutKeepsItsInvariants(t *testing.T) {
	histories := uint64(4000)
	if testing.Short() {
		histories = 400
	}
	outcomes := map[v1alpha1.RolloutPhase]int{}
	for seed := range histories {
		w := play(t, newWorld(seed), seed)
		outcomes[w.plan.State.Phase]++
	}
	t.Log(outcomes)
	for _, phase := range []v1alpha1.RolloutPhase{
		v1alpha1.RolloutCompleted, v1alpha1.RolloutDelivering, v1alpha1.RolloutProgressing, v1alpha1.RolloutStopped, v1alpha1.RolloutRolledBack,
	} {
		if outcomes[phase] == 0 {
			t.Errorf("no history ended as %s", phase)
		}
	}
}

// play has a new world live the history of a seed.
func play(t *testing.T, w *world, seed uint64) *world {
	t.Helper()
	w.tempers["r0"] = good
	if w.IntN(8) == 0 {
		w.tempers["r0"] = itemFails
	}
	ended := w.live(4 + w.IntN(20))
	switch {
	case w.broken != "":
	case !ended:
		w.violated("it does not end")
	default:
		w.checkEnd()
	}
	if w.broken != "" {
		t.Fatalf("seed %d: %s\n%s", seed, w.broken, strings.Join(w.trace[max(0, len(w.trace)-120):], "\n"))
	}
	return w
}

// checkEnd holds what must be true when nothing happens any more.
func (w *world) checkEnd() {
	p := w.plan
	if len(p.Moves) > 0 {
		w.violated("it ended with moves to make")
	}
	switch {
	case w.in.Paused || len(w.pods) == 0 || w.tempers[w.in.Update.Name] != good || w.tempers[p.Current] != good:
		return
	case p.State.Phase == v1alpha1.RolloutStopped, w.plan.State.Phase == v1alpha1.RolloutRolledBack:
		return // a pod failed by itself, or a user wanted it so
	case p.Waits == WaitsForPods:
		return // not one of them started
	case p.Waits == WaitsForDelivery && slices.ContainsFunc(w.pods, func(a *actor) bool { return a.hung }):
		return // a pod that hangs for good is waited for; checkBudget checks the others
	case p.State.Phase == v1alpha1.RolloutCompleted:
		for _, a := range w.pods {
			if a.Revision != w.in.Update.Name || !a.Delivered && !a.NotStarted && !a.hung {
				w.violated("completed, but %s has %s", a.Name, a.Revision)
			}
		}
	case p.Waits != WaitsForPartition && p.Waits != WaitsForBudget && p.State.Phase != v1alpha1.RolloutRollingBack:
		w.violated("a good revision ended as %s, waiting for %q", p.State.Phase, p.Waits)
	}
}

// A revision that fails on every pod reaches no more of the healthy ones than
// the threshold and the budget together.
func TestABrokenRevisionReachesAtMostThresholdPlusBudget(t *testing.T) {
	for seed := range uint64(1000) {
		w := newWorld(seed)
		w.tempers["r0"] = good
		w.in.FailurePolicy = pick(w, v1alpha1.FailurePolicyPause, v1alpha1.FailurePolicyRollback)
		for range 10 {
			w.bear()
		}
		w.live(0)
		w.touched = map[string]int{}
		w.tempers["bad"] = pick(w, itemFails, unready, blips, restarts)
		// What goes wrong later than this is seen too late.
		w.in.Strategy.RollingUpdate.MinReadySeconds = 10
		w.in.Update = Revision{Name: "bad"}
		w.newTry()
		w.live(0)
		most := int(w.in.FailureThreshold.IntVal) + maxUnavailableOf(w.observed())
		if w.broken == "" && w.touched["bad"] > most {
			w.violated("%d healthy pods touched, threshold and budget are %d", w.touched["bad"], most)
		}
		if w.broken == "" && w.touched["bad"] >= int(w.in.FailureThreshold.IntVal) && w.plan.State.Phase != v1alpha1.RolloutStopped &&
			w.plan.State.Phase != v1alpha1.RolloutRolledBack && w.plan.State.Phase != v1alpha1.RolloutRollingBack {
			w.violated("%d pods failed and the rollout is %s", w.touched["bad"], w.plan.State.Phase)
		}
		if w.broken != "" {
			t.Fatalf("seed %d: %s\n%s", seed, w.broken, strings.Join(w.trace[max(0, len(w.trace)-120):], "\n"))
		}
	}
}
