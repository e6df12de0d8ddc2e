// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import "github.com/kuda-io/kuda/api/v1alpha1"

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
func (r *run) updateIsStable() bool { return r.current == r.Update.Name }

// newPodRevision returns the revision for pods that have none.
func (r *run) newPodRevision() string {
	if r.onDelete() && !r.Paused && r.updateActive() {
		return r.Update.Name
	}
	return r.current
}

func (r *run) onDelete() bool { return r.Strategy.Type == v1alpha1.OnDeleteStrategyType }

// finishRollout ends the rollout when all is done: the update revision becomes the
// stable one.
func (r *run) finishRollout() {
	switch {
	case r.state.Phase != v1alpha1.RolloutProgressing || r.isRetrying():
		return
	case r.Paused && !r.updateIsStable():
		return
	case int(r.state.Step) < len(r.Strategy.Steps):
		return
	case len(r.Pods) == 0 && (len(r.notStarted) > 0 || !r.startsNext()):
		return
	}
	for _, p := range r.Pods {
		if p.Revision != r.Update.Name || !p.Delivered || !r.isDone(p) {
			return
		}
	}
	r.current = r.Update.Name
	r.enterPhase(v1alpha1.RolloutCompleted, v1alpha1.ReasonDelivered, "")
	r.state.EndTime, r.state.Updated = r.currentTime(), int32(len(r.Pods))
}

// startsNext reports whether, without any pod, the next one is to start with the
// update revision, as a Job's is. A revision that was tried and never worked is
// not trusted because its pods are gone.
func (r *run) startsNext() bool {
	return r.updateIsStable() || r.Update.Reach != Assigned && r.currentPartition() == 0
}
