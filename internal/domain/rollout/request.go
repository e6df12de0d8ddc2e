// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// requestedVerb returns the verb of a request that is new and about the update
// revision; "": there is none. A retry that would move pods waits until spec.paused is
// false; one that only lets pods try again what failed does not.
func requestedVerb(f facts) string {
	words := strings.Fields(f.in.Request)
	if f.in.Request == f.state.Request || len(words) < 2 || words[1] != f.in.Update.Name ||
		words[0] == v1alpha1.RequestRetry && f.in.Paused && f.state.isIn(stopped, rollingBack, rolledBack) {
		return ""
	}
	return words[0]
}

// recordRequest remembers that a request was carried out, or had no effect.
func recordRequest(f facts) state {
	s := f.state
	switch requestedVerb(f) {
	case v1alpha1.RequestPromote, v1alpha1.RequestPromoteFull, v1alpha1.RequestAbort, v1alpha1.RequestRetry:
		s.Request = f.in.Request
	}
	return s
}

func requestsPromote(f facts) bool {
	return requestedVerb(f) == v1alpha1.RequestPromote && currentStep(f) != nil
}

func requestsPromoteFull(f facts) bool {
	return requestedVerb(f) == v1alpha1.RequestPromoteFull && f.isRollingOut() && int(f.state.Step) < len(f.in.Strategy.Steps)
}

func requestsAbort(f facts) bool {
	return requestedVerb(f) == v1alpha1.RequestAbort && !f.updateIsStable()
}

func abortRollout(f facts) state {
	why := cause{v1alpha1.ReasonAborted, "abort was requested"}
	if by := f.in.RequestedBy; by != "" {
		why.message = by + " aborted"
	}
	return giveUp(f, why, v1alpha1.FailurePolicyRollback)
}

func requestsRetry(f facts) bool { return requestedVerb(f) == v1alpha1.RequestRetry }

// startRetry begins anew. The pods that failed go back to the stable revision first:
// so their next try is judged by what they are then, and their runtimes do
// everything again. The others keep what they have.
func startRetry(f facts) state {
	s := startRollout(f, f.in.Request)
	if f.updateIsStable() || f.in.onDelete() {
		return s
	}
	s.Phase, s.Reason = progressing, v1alpha1.ReasonRetrying
	s.Message = "the pods that failed go back before the revision is tried again"
	s.FailedPods = f.state.FailedPods
	return s
}

// retryIsReady reports whether no pod is left that failed in an earlier try.
func retryIsReady(f facts) bool {
	return !f.in.Paused && (f.updateIsStable() || f.in.onDelete() || !f.anyPod(func(p podFacts) bool { return p.toReturn }))
}

// finishRetry continues the rollout.
func finishRetry(f facts) state {
	s := startRollout(f, f.state.Request)
	s.StartTime = f.state.StartTime
	return s
}

// recordRetryFailures remembers the pods that fail while the pods that failed go
// back. Such a pod is not Ready when it is moved, and would pass later for one
// that never was.
func recordRetryFailures(f facts) state {
	s := f.state
	if !s.isIn(retrying) || f.in.Paused {
		return s
	}
	for _, p := range sortPods(f, f.pods) {
		if !p.failed || slices.Contains(s.FailedPods, p.Name) || len(s.FailedPods) >= maxFailedPods {
			continue
		}
		s.FailedPods = addSorted(s.FailedPods, p.Name)
		if s.failures == nil {
			s.failures = make(map[string]string)
		}
		s.failures[p.Name] = p.failure
	}
	return s
}
