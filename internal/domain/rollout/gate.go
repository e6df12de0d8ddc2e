// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"time"
)

// isUpdated reports whether a pod counts as updated: it is on the update revision
// with everything delivered and, when it was moved there, Ready for
// minReadySeconds. One that was not Ready before it was moved either is not
// waited for.
func (r *run) isUpdated(p Pod) bool {
	return p.Revision == r.Update.Name && p.Delivered && (p.Baseline == nil || r.isAvailable(p) || r.unreadyBeforeMove(p))
}

// isAvailable reports whether a pod has all of its revision, is Ready and, when it
// was moved to the update revision, has been so for minReadySeconds.
func (r *run) isAvailable(p Pod) bool {
	return p.Revision != "" && p.Delivered && p.Ready && !r.Now.Before(r.availableAt(p))
}

// availableAt returns when a pod that is delivered and Ready is available. The
// times are cut to the second: counting from the end of that second is never
// too early. On the way back a pod need not prove itself: it is available as
// long as it works.
func (r *run) availableAt(p Pod) time.Time {
	if p.Baseline == nil || p.Revision != r.Update.Name || r.minReady() == 0 || r.isReturning() || r.isRetrying() {
		return time.Time{}
	}
	since := p.ReadySince
	if p.DeliveredAt.After(since) {
		since = p.DeliveredAt
	}
	return since.Truncate(time.Second).Add(time.Second + r.minReady())
}

func (r *run) minReady() time.Duration {
	if u := r.Strategy.RollingUpdate; u != nil {
		return time.Duration(u.MinReadySeconds) * time.Second
	}
	return 0
}

// unreadyBeforeMove reports whether a pod is not Ready for reasons of its own: it was not
// when it was moved, and this rollout did not make it so.
func (r *run) unreadyBeforeMove(p Pod) bool {
	return p.Baseline != nil && !p.Baseline.Ready && p.Delivered && !p.Ready && !slices.Contains(r.state.FailedPods, p.Name)
}

// podFailure reports whether a moved pod is worse than it was before, and how. Pods
// that were not Ready before are judged by what is delivered alone: one that
// crashes anyway restarts under every revision.
func (r *run) podFailure(p Pod) (string, bool) {
	b := p.Baseline
	switch {
	case b == nil || p.Revision != r.Update.Name:
		return "", false
	case p.Failed:
		return p.FailedMessage, true
	case !b.Ready, runtimeInterrupted(p):
		return "", false
	case !p.Ready:
		return "it is not Ready any more", true
	case runtimeRestarted(p):
		return "", false
	case p.Restarts > b.Restarts:
		return fmt.Sprintf("its containers restarted %d times", p.Restarts-b.Restarts), true
	case readinessChanged(p):
		return "it was not Ready for a time", true
	}
	return "", false
}

// runtimeInterrupted reports whether a pod is not Ready for a reason that cannot be laid
// to its revision: its runtime is not back, or was started again after the pod
// had turned unready. That is so when a runtime is killed, and when a node that
// lost its power starts the whole pod again. A pod that does not become Ready
// after it is left to the deadline.
func runtimeInterrupted(p Pod) bool {
	return !p.Ready && (p.RuntimeDown || runtimeRestarted(p) && !p.ReadySince.After(p.RuntimeStarted))
}

// runtimeRestarted reports whether a pod was interrupted since it was moved. What
// else happened to it meanwhile cannot be told from that.
func runtimeRestarted(p Pod) bool { return p.RuntimeRestarts > p.Baseline.RuntimeRestarts }

// readinessChanged reports whether a pod became Ready, or unready, since it was moved.
func readinessChanged(p Pod) bool {
	before := p.Baseline.ReadyTransitionTime
	return before != nil && !p.ReadySince.IsZero() && before.Unix() != p.ReadySince.Unix()
}

// isDone reports whether a pod on the update revision keeps nothing else waiting.
func (r *run) isDone(p Pod) bool {
	if r.isUpdated(p) {
		return true
	}
	_, failed := r.podFailure(p)
	return failed && r.continuesOnFailure()
}
