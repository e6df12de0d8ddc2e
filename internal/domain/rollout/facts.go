// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// facts are what a plan is decided from: what is wanted, where the rollout is, and
// what both make of each pod. Their methods are questions. Nothing changes facts:
// a step of the phase returns another state, and withState the facts in it.
type facts struct {
	// in.Pods are the pods that have started.
	in    Input
	state state
	// pods are those of in.Pods, in the same order, judged by criteria.
	pods     []podFacts
	criteria criteria
	// notStarted have no part in any decision: they use no budget, belong to no
	// group, are not waited for, and are not counted.
	notStarted []Pod
}

// state is where a rollout is.
type state struct {
	// RolloutStatus becomes Plan.State.
	v1alpha1.RolloutStatus
	// stable is the stable revision.
	stable string
	// failures becomes Plan.Failures.
	failures map[string]string
}

// newFacts returns the facts in the state that the last plan left; in none, where that
// is about another revision.
func newFacts(in Input) facts {
	// Times are compared with ones that were written with this precision.
	in.Now = in.Now.Truncate(time.Microsecond)
	s := state{stable: stableRevision(in)}
	if in.State != nil && in.State.Revision == in.Update.Name {
		s.RolloutStatus = *in.State.DeepCopy()
	}
	var f facts
	f.in = in
	f.in.Pods, f.notStarted = splitStarted(in.Pods)
	return f.withState(s)
}

func splitStarted(pods []Pod) (started, notStarted []Pod) {
	for _, p := range pods {
		if p.NotStarted {
			notStarted = append(notStarted, p)
		} else {
			started = append(started, p)
		}
	}
	return started, notStarted
}

// withState returns what is so in another state.
func (f facts) withState(s state) facts {
	before := f.state.FailedPods
	f.state = s
	c := f.currentCriteria()
	if f.pods != nil && c == f.criteria && slices.Equal(before, s.FailedPods) {
		return f
	}
	f.criteria, f.pods = c, make([]podFacts, 0, len(f.in.Pods))
	for i := range f.in.Pods {
		f.pods = append(f.pods, judgePod(f.in, c, s.FailedPods, &f.in.Pods[i]))
	}
	return f
}

// stableRevision returns the stable revision before anything is decided: the update
// revision takes the place at once where there is nothing to fall back to.
func stableRevision(in Input) string {
	switch {
	case in.Current.Name == "":
		return in.Update.Name
	case in.Current.Name == in.Update.Name, in.Paused:
		return in.Current.Name
	case in.Current.Reach < Delivered:
		// No pod ever had it complete: giving it to new pods would only repeat the
		// failure that the edit was made to end.
		return in.Update.Name
	}
	return in.Current.Name
}

// updateIsStable reports whether there is nothing to roll out: the update revision is the
// stable one. That is so for the first revision, for one that follows a
// revision that never worked, after the end of a rollout, and when the template
// became the stable revision's again in the middle of one. It knows no
// partition, no steps and no health gate, and no failure stops it, for there is
// nothing to go back to.
func (f facts) updateIsStable() bool { return f.state.stable == f.in.Update.Name }

// isRollingOut reports whether the rollout of another revision than the stable one is
// under way: only then there are steps to take and pods to judge.
func (f facts) isRollingOut() bool {
	return !f.updateIsStable() && f.state.isIn(prefetching, progressing)
}

// isActive reports whether the update revision is being rolled out, or has been.
func (f facts) isActive() bool {
	return f.state.isIn(delivering, prefetching, progressing, retrying, completed)
}

// updateWorked reports whether a pod ever had all of the update revision.
func (f facts) updateWorked() bool {
	return f.in.Update.Reach == Delivered || f.anyPod(func(p podFacts) bool { return !p.outdated && p.Delivered })
}

// isFirstDelivery reports whether the update revision replaces no other one, and no pod
// had all of it yet.
func (f facts) isFirstDelivery() bool { return f.updateIsStable() && !f.updateWorked() }

// canReturn reports whether there is a revision to go back to that a pod had all of.
func (f facts) canReturn() bool {
	return !f.updateIsStable() && f.in.Current.Name == f.state.stable && f.in.Current.Reach == Delivered
}

// newPodRevision returns the revision for pods that have none.
func (f facts) newPodRevision() string {
	if f.in.onDelete() && !f.in.Paused && f.isActive() {
		return f.in.Update.Name
	}
	return f.state.stable
}

// countPods returns how many pods have a property.
func (f facts) countPods(has func(podFacts) bool) int {
	n := 0
	for _, p := range f.pods {
		if has(p) {
			n++
		}
	}
	return n
}

// anyPod reports whether a pod has a property.
func (f facts) anyPod(has func(podFacts) bool) bool { return slices.ContainsFunc(f.pods, has) }

// outdatedPods returns the pods that are not on the update revision.
func (f facts) outdatedPods() []podFacts {
	return slices.DeleteFunc(slices.Clone(f.pods), func(p podFacts) bool { return !p.outdated })
}

// allPodsDone reports whether all pods have what they were told to have, and those on
// the update revision passed the gate.
func (f facts) allPodsDone() bool {
	return !f.anyPod(func(p podFacts) bool { return p.Revision == "" || !p.outdated && !p.updated })
}

// countsFailures reports whether failures of pods are this rollout's.
func (f facts) countsFailures() bool {
	return !f.updateIsStable() && !f.in.onDelete() && !f.state.isIn(retrying, rolledBack)
}

// failedPods returns the names of the pods that failed in this rollout, sorted.
func (f facts) failedPods() []string {
	if !f.countsFailures() {
		return slices.Clone(f.state.FailedPods)
	}
	return addSorted(f.state.FailedPods, slices.Collect(maps.Keys(f.podFailures()))...)
}

// podFailures returns what is wrong with each pod that fails now, by name.
func (f facts) podFailures() map[string]string {
	found := make(map[string]string)
	for _, p := range f.pods {
		if p.failed {
			found[p.Name] = p.failure
		} else if p.prefetchFailed {
			found[p.Name] = "downloading it ahead: " + p.PrefetchMessage
		}
	}
	return found
}

// currentTime returns the time for the state.
func (f facts) currentTime() *metav1.MicroTime {
	t := metav1.NewMicroTime(f.in.Now)
	return &t
}

// timeSince returns the time since a time in the state; 0 where there is none.
func (f facts) timeSince(t *metav1.MicroTime) time.Duration {
	if t == nil {
		return 0
	}
	return f.in.Now.Sub(t.Time)
}

// addSorted returns the sorted union.
func addSorted(names []string, more ...string) []string {
	all := slices.Concat(names, more)
	slices.Sort(all)
	return slices.Compact(all)
}
