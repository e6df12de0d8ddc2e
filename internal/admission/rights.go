// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/admission/author"
)

const (
	// reviewLimit bounds all questions of one request.
	reviewLimit = 3 * time.Second
	// reviewsOfRequest are the questions of one request that are asked together,
	// and reviewsOfAll those of all requests.
	reviewsOfRequest = 8
	reviewsOfAll     = 32
	// reviewsPerSecond bounds what this replica asks over time. The limit is its
	// own: pods that are to be injected never wait behind it.
	reviewsPerSecond = 100
)

var errBusy = errors.New("too many DataSets are being changed")

// Reviews asks the API server for users' rights, by SubjectAccessReviews. It
// remembers nothing, so a right that is taken away counts no longer at once.
type Reviews struct {
	client client.Client
	slots  chan struct{}
}

// NewReviews makes one with a client of its own.
func NewReviews(config *rest.Config, options client.Options) (*Reviews, error) {
	config = rest.CopyConfig(config)
	config.RateLimiter, config.QPS, config.Burst = nil, reviewsPerSecond, 2*reviewsPerSecond
	options.HTTPClient = nil
	c, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("making a client for SubjectAccessReviews: %w", err)
	}
	return &Reviews{client: c, slots: make(chan struct{}, reviewsOfAll)}, nil
}

// Missing implements Rights.
func (r *Reviews) Missing(ctx context.Context, user authenticationv1.UserInfo, namespace string,
	needs []author.Need) ([]author.Need, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewLimit)
	defer cancel()
	denied := make([]bool, len(needs))
	var group errgroup.Group
	group.SetLimit(reviewsOfRequest)
	for i := range needs {
		group.Go(func() error {
			allowed, err := r.reviewAccess(ctx, user, namespace, needs[i].Right)
			denied[i] = err == nil && !allowed
			return err
		})
	}
	err := group.Wait()
	var missing []author.Need
	for i := range needs {
		if denied[i] {
			missing = append(missing, needs[i])
		}
	}
	return missing, err
}

func (r *Reviews) reviewAccess(ctx context.Context, user authenticationv1.UserInfo, namespace string, right author.Right) (bool, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return false, errBusy
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: right.Verb, Group: right.Group, Version: "*",
			Resource: right.Resource, Subresource: right.Subresource, Name: right.Name,
		},
	}}
	if len(user.Extra) > 0 {
		review.Spec.Extra = make(map[string]authorizationv1.ExtraValue, len(user.Extra))
		for key, values := range user.Extra {
			review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
		}
	}
	if err := r.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking whether the author may %s: %w", right, err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
