// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// retryGrace is how long after a retry a failed prefetch counts as the one before:
// so long may it take until its runtime says that it has begun anew.
const retryGrace = 5 * time.Second

func (f facts) wantsPrefetch() bool { return f.in.Prefetch && !f.in.onDelete() && !f.updateIsStable() }

// mayPrefetch reports whether a pod that lacks the update revision is to download it ahead.
func (f facts) mayPrefetch() bool { return f.wantsPrefetch() && f.isRollingOut() }

// shouldPrefetch reports whether there are pods that are to download it ahead.
func (f facts) shouldPrefetch() bool {
	return f.mayPrefetch() && f.anyPod(func(p podFacts) bool { return p.outdated })
}

// retryGracePeriod returns how long failures of prefetching are not judged yet.
func (f facts) retryGracePeriod() time.Duration {
	if !strings.HasPrefix(f.state.Request, v1alpha1.RequestRetry+" "+f.in.Update.Name+" ") {
		return 0
	}
	return max(0, retryGrace-f.timeSince(f.state.StartTime))
}

// cacheFiller returns the pod that fills the caches before the others download the update
// revision ahead; empty when the caches are full, or no pod can fill them.
func cacheFiller(f facts) types.UID {
	if !f.in.FillCache || !f.state.isIn(prefetching) || f.anyPod(func(p podFacts) bool { return p.Prefetched }) {
		return ""
	}
	waiting := slices.DeleteFunc(sortPods(f, f.outdatedPods()), func(p podFacts) bool { return !p.awaitsPrefetch })
	for _, p := range waiting {
		if p.available {
			return p.UID
		}
	}
	if len(waiting) > 0 {
		return waiting[0].UID
	}
	return ""
}

// prefetchIsDone reports whether the nodes of all pods that can be moved have the
// bytes. A pod that cannot have them counts as failed and is not waited for.
func prefetchIsDone(f facts) bool {
	return !f.in.Paused && (!f.wantsPrefetch() || !f.anyPod(func(p podFacts) bool { return p.awaitsPrefetch }))
}

// givesPrefetchUp reports whether a prefetch that is late is not waited for: the
// failure policy is Continue, or it only waits for pods that are unavailable.
func givesPrefetchUp(f facts) bool {
	return isOverdue(f) &&
		(f.in.continuesOnFailure() || !f.anyPod(func(p podFacts) bool { return p.awaitsPrefetch && p.available }))
}

// startMoves begins with the moves.
func startMoves(f facts) state {
	s := enterPhase(f, progressing, cause{})
	s.StepStartTime, s.Updated = f.currentTime(), 0
	return s
}
