// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"strings"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// forgets is how long after a retry a failed prefetch counts as the one before:
// so long may it take until its runtime says that it has begun anew.
const forgets = 5 * time.Second

func (r *run) wantsPrefetch() bool { return r.Prefetch && !r.onDelete() && !r.updateIsStable() }

// shouldPrefetch reports whether pods are to download the update revision ahead.
func (r *run) shouldPrefetch() bool {
	return r.wantsPrefetch() && r.isRollingOut() && len(r.outdatedPods()) > 0
}

// finishPrefetch begins with the moves when the nodes of all pods that can be moved
// have the bytes. A pod that cannot have them counts as failed and is not waited for.
func (r *run) finishPrefetch() {
	if r.state.Phase != v1alpha1.RolloutPrefetching {
		return
	}
	if r.wantsPrefetch() {
		for _, p := range r.Pods {
			if r.awaitsPrefetch(p) {
				return
			}
		}
	}
	r.startMoves()
}

// startMoves begins with the moves.
func (r *run) startMoves() {
	r.enterPhase(v1alpha1.RolloutProgressing, "", "")
	r.state.StepStartTime, r.state.Updated = r.currentTime(), 0
}

// awaitsPrefetch reports whether a pod's prefetch is waited for.
func (r *run) awaitsPrefetch(p Pod) bool {
	return p.Revision != "" && p.Revision != r.Update.Name && !p.Prefetched && !r.prefetchFailed(p)
}

func (r *run) prefetchFailed(p Pod) bool {
	return p.PrefetchFailed && p.Revision != r.Update.Name && r.shouldPrefetch() && r.retryGracePeriod() <= 0
}

// retryGracePeriod returns how long failures of prefetching are not judged yet.
func (r *run) retryGracePeriod() time.Duration {
	if !strings.HasPrefix(r.state.Request, v1alpha1.RequestRetry+" "+r.Update.Name+" ") {
		return 0
	}
	return max(0, forgets-r.timeSince(r.state.StartTime))
}
