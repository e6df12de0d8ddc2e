// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/gateway/share"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// reviewTimeout bounds one question to the API server.
	reviewTimeout = 10 * time.Second
	// queueTimeout bounds the wait for a slot.
	queueTimeout = 5 * time.Second
	// strangersPerSecond bounds the questions about tokens of pods that the cache
	// does not know: a pod is unknown for a moment after it was made only.
	strangersPerSecond = 50
	// A pod's tokens are asked about once a minute or so. A pod that presents more
	// of them than this is only slowed down.
	reviewsPerPod = 1
	reviewsBurst  = 10
	// maxIssuers bounds the issuers that are remembered; a cluster has one or two.
	maxIssuers = 8
)

// Slots for questions to the API server. Callers whose pod the cache knows have
// their own, so that they never wait for unknown callers, of whom there may be
// any number.
var (
	knownSlots = share.Limits{Total: 48, PerPod: 2, PerNamespace: 24, Reserve: 12, Waiters: 2048}
	// Strangers are told apart by address alone, and a whole cluster may come from
	// one: an address may have most of the slots.
	strangerSlots = share.Limits{Total: 16, PerPod: 12, PerNamespace: 12, Waiters: 64}
	// Callers that wait for an answer, also those of the same token.
	knownCallers    = share.Limits{Total: 4096, PerPod: 16, PerNamespace: 2048, Reserve: 512}
	strangerCallers = share.Limits{Total: 256, PerPod: 192, PerNamespace: 192}
)

// Creator is the one right that is needed: to create TokenReviews.
type Creator interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
}

// Outcome of a token, for metrics.
type Outcome string

// The outcomes of questions to the API server.
const (
	Accepted Outcome = "accepted"
	Refused  Outcome = "refused"
	Failed   Outcome = "failed"
)

// ErrBusy is wrapped by errors that say that the caller may try again soon.
var ErrBusy = errors.New("too many tokens wait to be checked; try again")

// Authenticator finds out which pod a token stands for.
type Authenticator struct {
	reviews Creator
	roster  *Roster
	clock   clock.PassiveClock
	// observe is told of every TokenReview.
	observe func(Outcome)

	answers          *remembered
	flights          singleflight.Group
	known, strangers lane
	strangerRate     *rate.Limiter

	mu      sync.Mutex
	paces   *lru.Cache
	issuers map[string]bool
}

// lane is what one kind of callers has to itself.
type lane struct{ slots, callers *share.Pool }

func newLane(slots, callers share.Limits) lane { return lane{share.New(slots), share.New(callers)} }

// NewAuthenticator makes an authenticator; observe is told of every TokenReview.
func NewAuthenticator(reviews Creator, roster *Roster, passive clock.PassiveClock, observe func(Outcome)) *Authenticator {
	return &Authenticator{
		reviews: reviews, roster: roster, clock: passive, observe: observe,
		answers: newRemembered(passive),
		known:   newLane(knownSlots, knownCallers), strangers: newLane(strangerSlots, strangerCallers),
		strangerRate: rate.NewLimiter(strangersPerSecond, 2*strangersPerSecond),
		paces:        lru.New(maxPods), issuers: make(map[string]bool),
	}
}

// Authenticate returns the pod of a token that came from an address. Errors wrap
// ErrRefused when the token is at fault, and ErrNotInjected when it is of a pod
// without the runtime; others mean that the API server could not be asked.
func (a *Authenticator) Authenticate(ctx context.Context, token, address string) (Pod, error) {
	claims, err := Read(token, a.clock.Now())
	if err != nil {
		return Pod{}, err
	}
	key := tokenKey(sha256.Sum256([]byte(token)))
	if known, ok := a.answers.findAnswer(claims.PodUID, key); ok {
		return known.pod, known.err
	}
	where := a.roster.lookUpCached(ctx, claims)
	if where == notInjected {
		return Pod{}, ErrNotInjected
	}
	// Claims prove nothing: a caller that knows the UID of a pod can take what
	// that pod has from an address, and no more.
	lane, owner, allowed := a.strangers, share.Owner{Namespace: address, Pod: address}, a.strangerRate
	if where == injected && a.isKnownIssuer(claims.Issuer) {
		lane, owner = a.known, share.Owner{Namespace: claims.Namespace, Pod: string(claims.PodUID) + " " + address}
		allowed = a.getLimiter(owner)
	}
	caller, err := lane.callers.Acquire(ctx, owner, 1)
	if err != nil {
		return Pod{}, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	defer caller.Release()
	result, err, _ := a.flights.Do(string(key[:]), func() (any, error) {
		// Others may wait for this answer: the first caller's leaving is not theirs.
		ctx := context.WithoutCancel(ctx)
		slot, err := a.acquireSlot(ctx, lane.slots, owner, allowed)
		if err != nil {
			return Pod{}, err
		}
		defer slot.Release()
		return a.reviewToken(ctx, token, key, claims)
	})
	return result.(Pod), err
}

// Forget drops what is remembered of a pod that is gone.
func (a *Authenticator) Forget(pod types.UID) { a.answers.forgetPod(pod) }

// acquireSlot waits for the right to ask.
func (a *Authenticator) acquireSlot(ctx context.Context, slots *share.Pool, owner share.Owner, allowed *rate.Limiter) (*share.Held, error) {
	if !allowed.AllowN(a.clock.Now(), 1) {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	slot, err := slots.Acquire(ctx, owner, 1)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return slot, nil
}

func (a *Authenticator) getLimiter(owner share.Owner) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.paces.Get(owner); ok {
		return known.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(reviewsPerPod, reviewsBurst)
	a.paces.Add(owner, fresh)
	return fresh
}

// isKnownIssuer reports whether the API server accepted a token of this issuer, or none
// yet. An issuer that is new, as after a change of the cluster's, is not refused:
// its tokens are a stranger's until the first is accepted.
func (a *Authenticator) isKnownIssuer(issuer string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.issuers) == 0 || a.issuers[issuer]
}

func (a *Authenticator) addIssuer(issuer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.issuers) >= maxIssuers && !a.issuers[issuer] {
		clear(a.issuers)
	}
	a.issuers[issuer] = true
}

// reviewToken has the API server check the token. The time for it begins now, whatever
// the wait for a slot took.
func (a *Authenticator) reviewToken(ctx context.Context, token string, key tokenKey, claims Claims) (Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	p, err := a.createReview(ctx, token)
	switch {
	case err == nil:
		a.observe(Accepted)
		a.addIssuer(claims.Issuer)
		a.answers.recordAccepted(key, p, claims.Expires)
	case errors.Is(err, ErrRefused):
		a.observe(Refused)
		a.answers.recordRefused(key, err)
	default:
		a.observe(Failed)
	}
	return p, err
}

func (a *Authenticator) createReview(ctx context.Context, token string) (Pod, error) {
	review := &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{sidecar.TokenAudience}},
	}
	if err := a.reviews.Create(ctx, review); err != nil {
		return Pod{}, fmt.Errorf("asking the API server about the token: %w", err)
	}
	return FromReview(review.Status)
}
