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

func (r *run) wantsPrefetch() bool { return r.Prefetch && !r.onDelete() && !r.settled() }

// prefetches says whether pods are to download the update revision ahead.
func (r *run) prefetches() bool {
	return r.wantsPrefetch() && r.rolling() && len(r.others()) > 0
}

// prefetched begins with the moves when the nodes of all pods that can be moved
// have the bytes. A pod that cannot have them counts as failed and is not waited for.
func (r *run) prefetched() {
	if r.state.Phase != v1alpha1.RolloutPrefetching {
		return
	}
	if r.wantsPrefetch() {
		for _, p := range r.Pods {
			if r.awaited(p) {
				return
			}
		}
	}
	r.move()
}

// move begins with the moves.
func (r *run) move() {
	r.enter(v1alpha1.RolloutProgressing, "", "")
	r.state.StepStartTime, r.state.Updated = r.now(), 0
}

// awaited says whether a pod's prefetch is waited for.
func (r *run) awaited(p Pod) bool {
	return p.Revision != "" && p.Revision != r.Update.Name && !p.Prefetched && !r.prefetchFailed(p)
}

func (r *run) prefetchFailed(p Pod) bool {
	return p.PrefetchFailed && p.Revision != r.Update.Name && r.prefetches() && r.forgetting() <= 0
}

// forgetting answers how long failures of prefetching are not judged yet.
func (r *run) forgetting() time.Duration {
	if !strings.HasPrefix(r.state.Request, v1alpha1.RequestRetry+" "+r.Update.Name+" ") {
		return 0
	}
	return max(0, forgets-r.since(r.state.StartTime))
}
