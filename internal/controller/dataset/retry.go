// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// requestRetries asks the pods in which something failed to try it now, when that was
// requested. It goes before the status that says that the request was carried out, so
// that a manager which dies in between asks again; for a runtime the same token is
// the same request. Pods whose Data could not be written are asked again in the next
// passes, while the request stays.
func (r *Reconciler) requestRetries(ctx context.Context, s *session) error {
	request := s.set.Annotations[v1alpha1.AnnotationRolloutRequest]
	state := s.set.Status.Rollout
	if state == nil || state.Revision != s.update.Name || !assignment.RequestsRetry(request, state.Revision) {
		return nil
	}
	key, token := keyOf(s.set), assignment.RequestToken(request)
	left := r.unasked.find(key, token)
	if state.Request == request && len(left) == 0 {
		return nil
	}
	var asked []*replica
	err := r.writeAll(ctx, s, func(x *replica) (*v1alpha1.DataSpec, error) {
		if state.Request == request && !left[x.pod.UID] {
			return nil, nil
		}
		if x.data == nil || assignment.RetryToken(x.data) == token || !assignment.Failing(x.data) || returnsForRetry(s.set, x) {
			return nil, nil
		}
		asked = append(asked, x)
		spec := x.data.Spec.DeepCopy()
		spec.RetryToken = &token
		return spec, nil
	})
	left = make(map[types.UID]bool)
	for _, x := range asked {
		if assignment.RetryToken(x.data) != token {
			left[x.pod.UID] = true
		}
	}
	r.unasked.replace(key, token, left)
	if err != nil {
		return fmt.Errorf("asking pods to try again: %w", err)
	}
	return nil
}

// unasked remembers the pods of each DataSet that its newest request for a retry did not
// reach, because a write was refused. What it forgets with the process is not asked for
// again: another request does.
type unasked struct {
	mu   sync.Mutex
	sets map[types.NamespacedName]unaskedPods
}

type unaskedPods struct {
	token string
	pods  map[types.UID]bool
}

func (u *unasked) find(key types.NamespacedName, token string) map[types.UID]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if found := u.sets[key]; found.token == token {
		return found.pods
	}
	return nil
}

// replace takes over the pods; none: the DataSet is forgotten.
func (u *unasked) replace(key types.NamespacedName, token string, pods map[types.UID]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(pods) == 0 {
		delete(u.sets, key)
		return
	}
	if u.sets == nil {
		u.sets = make(map[types.NamespacedName]unaskedPods)
	}
	u.sets[key] = unaskedPods{token, pods}
}

// returnsForRetry reports whether the retry of a rollout that failed moves a pod to the
// stable revision first: there it is not to try the revision that failed.
func returnsForRetry(d *v1alpha1.DataSet, x *replica) bool {
	switch d.Status.Rollout.Phase {
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRollingBack, v1alpha1.RolloutRolledBack:
		return x.revision == d.Status.UpdateRevision && d.Status.CurrentRevision != "" && d.Status.CurrentRevision != d.Status.UpdateRevision
	}
	return d.Status.Rollout.Reason == v1alpha1.ReasonRetrying && x.revision == d.Status.UpdateRevision
}
