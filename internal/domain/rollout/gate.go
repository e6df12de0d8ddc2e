// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"slices"
	"time"
)

// podFacts is a pod and what the rules make of it.
type podFacts struct {
	*Pod
	// outdated pods are on another revision than the update revision, or on none.
	outdated bool
	// available pods have all of their revision, are Ready and, when they were moved
	// to the update revision, have been so for minReadySeconds. One that is
	// delivered and Ready is so from availableAt on.
	available   bool
	availableAt time.Time
	// usesBudget: the pod is unavailable, and counts against maxUnavailable. One that was
	// not Ready before it was moved and has not been since does not count.
	usesBudget bool
	// updated pods are on the update revision with everything delivered and, when
	// they were moved there, available. One that was not Ready before it was moved
	// either is not waited for.
	updated bool
	// failed pods are worse than they were before they were moved; failure says how.
	failed  bool
	failure string
	// done: the pod, which is on the update revision, keeps nothing else waiting.
	done bool
	// prefetchFailed: the pod cannot have the update revision's bytes ahead.
	// awaitsPrefetch: it will have them.
	prefetchFailed, awaitsPrefetch bool
	// toReturn: the pod failed in an earlier try and was not moved back since.
	toReturn bool
}

// criteria are what of the state pods are judged by, besides the pods that are known
// to have failed.
type criteria struct {
	// returning: pods go back to the stable revision. There a pod need not prove
	// itself: it is available as long as it works.
	returning bool
	// prefetching: pods are to have the update revision's bytes ahead, and it is
	// known of this try whether they can.
	prefetching bool
}

func (f facts) currentCriteria() criteria {
	return criteria{
		returning:   f.state.isIn(rollingBack, rolledBack, retrying),
		prefetching: f.mayPrefetch() && f.retryGracePeriod() <= 0,
	}
}

func judgePod(in Input, c criteria, failedPods []string, p *Pod) podFacts {
	j := podFacts{Pod: p, outdated: p.Revision != in.Update.Name}
	j.failure, j.failed = podFailure(p, in.Update.Name)
	known := slices.Contains(failedPods, p.Name)
	j.toReturn = !j.outdated && (j.failed || known)
	j.judgeAvailability(in, c, !known && unreadyBefore(p))
	j.done = j.updated || j.failed && in.continuesOnFailure()
	j.prefetchFailed = p.PrefetchFailed && j.outdated && c.prefetching
	j.awaitsPrefetch = p.Revision != "" && j.outdated && !p.Prefetched && !j.prefetchFailed
	return j
}

// judgeAvailability finds whether a pod is available and updated. One that is ignored is
// not Ready, for reasons of its own.
func (j *podFacts) judgeAvailability(in Input, c criteria, ignored bool) {
	p := j.Pod
	if p.Baseline != nil && !j.outdated && !c.returning {
		j.availableAt = provenAt(p, in.minReady())
	}
	j.available = p.Revision != "" && p.Delivered && p.Ready && !in.Now.Before(j.availableAt)
	j.usesBudget = !j.available && (!ignored || readinessChanged(p))
	j.updated = !j.outdated && p.Delivered && (p.Baseline == nil || j.available || ignored)
}

// unreadyBefore reports whether a pod is not Ready for reasons of its own: it was not
// when it was moved.
func unreadyBefore(p *Pod) bool {
	return p.Baseline != nil && !p.Baseline.Ready && p.Delivered && !p.Ready
}

// provenAt returns when a pod that is delivered and Ready has been so for
// minReadySeconds. The times are cut to the second: counting from the end of that
// second is never too early.
func provenAt(p *Pod, minReady time.Duration) time.Time {
	if minReady == 0 {
		return time.Time{}
	}
	since := p.ReadySince
	if p.DeliveredAt.After(since) {
		since = p.DeliveredAt
	}
	return since.Truncate(time.Second).Add(time.Second + minReady)
}

// podFailure reports whether a moved pod is worse than it was before, and how. Pods
// that were not Ready before are judged by what is delivered alone: one that
// crashes anyway restarts under every revision.
func podFailure(p *Pod, update string) (string, bool) {
	b := p.Baseline
	switch {
	case b == nil || p.Revision != update:
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
func runtimeInterrupted(p *Pod) bool {
	return !p.Ready && (p.RuntimeDown || runtimeRestarted(p) && !p.ReadySince.After(p.RuntimeStarted))
}

// runtimeRestarted reports whether a pod was interrupted since it was moved. What
// else happened to it meanwhile cannot be told from that.
func runtimeRestarted(p *Pod) bool { return p.RuntimeRestarts > p.Baseline.RuntimeRestarts }

// readinessChanged reports whether a pod became Ready, or unready, since it was moved.
func readinessChanged(p *Pod) bool {
	before := p.Baseline.ReadyTransitionTime
	return before != nil && !p.ReadySince.IsZero() && before.Unix() != p.ReadySince.Unix()
}
