// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
)

const (
	// maxLooks bounds the reads of pods that the cache does not know yet.
	maxLooks = 16
	// lookTimeout bounds one of them.
	lookTimeout = 5 * time.Second
)

var (
	// ErrNotInjected is wrapped by errors about pods without the runtime.
	ErrNotInjected = errors.New("the pod was not injected by Kuda, so the gateway has nothing for it")

	errOtherPod = errors.New("the token is of an earlier pod of this name")
	errPodGone  = errors.New("the pod is gone")
	errLooks    = errors.New("the gateway does not know the pod yet; try again")
)

// Account is a service account.
type Account struct{ Namespace, Name string }

// Roster knows which pods have the runtime, and which are keepers. Cached may be behind;
// live may not.
type Roster struct {
	cached, live client.Reader
	keeper       Account
	looks        chan struct{}
}

// NewRoster makes a roster. Pods of the account keeper are those of kuda-node; with an empty
// one there are none.
func NewRoster(cached, live client.Reader, keeper Account) *Roster {
	return &Roster{cached: cached, live: live, keeper: keeper, looks: make(chan struct{}, maxLooks)}
}

// standing is what the cache says of a pod.
type standing int

const (
	unknown standing = iota
	injected
	notInjected
)

// lookUpCached looks into the cache only.
func (r *Roster) lookUpCached(ctx context.Context, c Claims) standing {
	var p corev1.Pod
	err := r.cached.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: c.PodName}, &p)
	switch {
	case err != nil, p.UID != c.PodUID:
		return unknown
	case podstate.Injected(&p), r.keeper.Name != "" && c.Namespace == r.keeper.Namespace:
		return injected // or perhaps a keeper: whose account it is says the API server
	default:
		return notInjected
	}
}

// Admit completes a caller that has the runtime or is a keeper, and refuses all others.
// Errors wrap ErrRefused or ErrNotInjected; others mean that it is not known yet.
func (r *Roster) Admit(ctx context.Context, caller Pod) (Pod, error) {
	if r.keeper.Name != "" && caller.Namespace == r.keeper.Namespace && caller.Account == r.keeper.Name {
		// The token proves the account and the pod; nothing else is asked of a keeper.
		caller.Keeper = true
		return caller, nil
	}
	var p corev1.Pod
	key := types.NamespacedName{Namespace: caller.Namespace, Name: caller.Name}
	err := r.cached.Get(ctx, key, &p)
	if err != nil || p.UID != caller.UID {
		// The cache does not know the pod yet, or holds the one before it.
		if err := r.readLive(ctx, key, &p); err != nil {
			return caller, err
		}
	}
	switch {
	case p.UID != caller.UID:
		return caller, fmt.Errorf("%w: %w", ErrRefused, errOtherPod)
	case !podstate.Injected(&p):
		return caller, ErrNotInjected
	}
	caller.NodeStore = p.Annotations[v1alpha1.AnnotationStore] == v1alpha1.StoreNode
	return caller, nil
}

// readLive asks the API server, once and not for long.
func (r *Roster) readLive(ctx context.Context, key types.NamespacedName, p *corev1.Pod) error {
	select {
	case r.looks <- struct{}{}:
		defer func() { <-r.looks }()
	default:
		return errLooks
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	switch err := r.live.Get(ctx, key, p); {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: %w", ErrRefused, errPodGone)
	case err != nil:
		return fmt.Errorf("reading the pod: %w", err)
	}
	return nil
}
