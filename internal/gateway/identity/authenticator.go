// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// rememberGood is how long a good answer is believed.
	rememberGood = time.Minute
	// rememberBad spares the API server a runtime that tries the same bad
	// token again and again.
	rememberBad = 5 * time.Second
	// maxRemembered bounds the memory: about 200 bytes each.
	maxRemembered = 16384
	// maxReviews bounds the questions to the API server that are open together.
	maxReviews = 64
	// reviewTimeout bounds one question.
	reviewTimeout = 10 * time.Second
	// maxTokenLength is more than any service-account token has.
	maxTokenLength = 16 << 10
)

// Creator is the one right that is needed: to create TokenReviews.
type Creator interface {
	Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error
}

// Outcome of a question to the API server, for metrics.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted"
	Refused  Outcome = "refused"
	Failed   Outcome = "failed"
)

// Authenticator answers which pod a token stands for.
type Authenticator struct {
	reviews Creator
	observe func(Outcome)
	answers *cache.LRUExpireCache
	flights singleflight.Group
	slots   chan struct{}
}

type answer struct {
	pod Pod
	err error
}

// NewAuthenticator makes an authenticator; observe is told of every TokenReview.
func NewAuthenticator(reviews Creator, passive clock.Clock, observe func(Outcome)) *Authenticator {
	return &Authenticator{
		reviews: reviews,
		observe: observe,
		answers: cache.NewLRUExpireCacheWithClock(maxRemembered, passive),
		slots:   make(chan struct{}, maxReviews),
	}
}

// Authenticate answers the pod. Errors wrap ErrRefused when the token is at
// fault; others mean that the API server could not be asked.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (Pod, error) {
	if token == "" || len(token) > maxTokenLength {
		return Pod{}, fmt.Errorf("%w: a bearer token of a service account is needed", ErrRefused)
	}
	// The token itself is not kept: whoever reads this memory learns nothing.
	key := sha256.Sum256([]byte(token))
	if known, ok := a.answers.Get(key); ok {
		known := known.(answer)
		return known.pod, known.err
	}
	result, err, _ := a.flights.Do(string(key[:]), func() (any, error) {
		// Others may wait for this answer: the first caller's leaving is not theirs.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
		defer cancel()
		p, err := a.review(ctx, token)
		switch {
		case err == nil:
			a.observe(Accepted)
			a.answers.Add(key, answer{pod: p}, rememberGood)
		case errors.Is(err, ErrRefused):
			a.observe(Refused)
			a.answers.Add(key, answer{err: err}, rememberBad)
		default:
			a.observe(Failed)
		}
		return p, err
	})
	return result.(Pod), err
}

func (a *Authenticator) review(ctx context.Context, token string) (Pod, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return Pod{}, fmt.Errorf("waiting to ask the API server: %w", ctx.Err())
	}
	review := &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{sidecar.TokenAudience}},
	}
	if err := a.reviews.Create(ctx, review); err != nil {
		return Pod{}, fmt.Errorf("asking the API server about the token: %w", err)
	}
	return FromReview(review.Status)
}
