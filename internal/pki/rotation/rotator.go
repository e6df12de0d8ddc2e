// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/pki"
)

// retryAfter is the pause after a write that failed.
const retryAfter = 30 * time.Second

// Patcher is the one right that is needed.
type Patcher interface {
	Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error
}

// Rotator keeps the CA's Secret supplied with generations. It is a
// manager.Runnable for the leader.
type Rotator struct {
	// Client patches the Secret.
	Client Patcher
	// Secret is the CA's.
	Secret types.NamespacedName
	// Authority is the CA as it is mounted.
	Authority *pki.Authority
	// Clock; nil is the real one. It only times the waits; the Authority's own
	// clock decides.
	Clock clock.WithTicker
	// Log tells of rotations and of failures.
	Log logr.Logger

	// written are the generations of this process that the kubelet has not
	// mounted yet: counting them keeps one rotation from becoming many.
	written []pki.Generation
}

// NeedLeaderElection reports whether only the leader rotates: it does.
func (r *Rotator) NeedLeaderElection() bool { return true }

// Start rotates until the context ends.
func (r *Rotator) Start(ctx context.Context) error {
	waits := r.Clock
	if waits == nil {
		waits = clock.RealClock{}
	}
	changed := r.Authority.Changed()
	for {
		next, err := r.Step(ctx)
		wait := next.Sub(r.Authority.Now())
		if err != nil {
			r.Log.Error(err, "did not rotate the CA; trying again", "after", retryAfter)
			wait = retryAfter
		}
		timer := waits.NewTimer(max(wait, time.Second))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case <-timer.C():
		}
		timer.Stop()
	}
}

// Step does what is due now and returns when to do the next step.
func (r *Rotator) Step(ctx context.Context) (time.Time, error) {
	now := r.Authority.Now()
	plan := r.Authority.Policy().Plan(r.knownGenerations(), now)
	if !plan.Add && len(plan.Drop) == 0 {
		return plan.Next, nil
	}
	data := map[string]any{}
	for _, g := range plan.Drop {
		for _, key := range g.SecretKeys() {
			data[key] = nil
		}
	}
	var added pki.Generation
	if plan.Add {
		var err error
		if added, err = pki.NewGeneration(r.Authority.Policy(), now); err != nil {
			return time.Time{}, err
		}
		entries, err := added.SecretData()
		if err != nil {
			return time.Time{}, err
		}
		for key, value := range entries {
			data[key] = value
		}
	}
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return time.Time{}, fmt.Errorf("encoding the change of Secret %s: %w", r.Secret, err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.Secret.Namespace, Name: r.Secret.Name}}
	if err := r.Client.Patch(ctx, secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return time.Time{}, fmt.Errorf("patching Secret %s: %w", r.Secret, err)
	}
	if plan.Add {
		r.written = append(r.written, added)
	}
	r.Log.Info("rotated the CA", "secret", r.Secret, "added", added.Name(), "dropped", len(plan.Drop))
	return plan.Next, nil
}

// knownGenerations are the mounted generations and those that are on their way there.
func (r *Rotator) knownGenerations() []pki.Generation {
	known := r.Authority.Generations()
	mounted := map[string]bool{}
	for _, g := range known {
		mounted[g.Name()] = true
	}
	var pending []pki.Generation
	for _, g := range r.written {
		if !mounted[g.Name()] {
			pending = append(pending, g)
		}
	}
	r.written = pending
	return append(known, pending...)
}
