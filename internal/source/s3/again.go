// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	nethttp "net/http"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

// callWithRetry makes a request, and makes it once again when the service's answer to
// the first one says how: with another region, or with newer credentials.
func (s *Source) callWithRetry(ctx context.Context, f func(minio.Core) error) error {
	used := s.signing.Load()
	err := f(used.client)
	if err == nil || !s.prepareRetry(ctx, used, err) {
		return err
	}
	return f(s.signing.Load().client)
}

// prepareRetry reports whether a request that failed is worth another try at once, and
// makes ready for it.
func (s *Source) prepareRetry(ctx context.Context, used *signing, err error) bool {
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok || ctx.Err() != nil {
		return false
	}
	if s.renewable && isExpired(answer.Code) {
		s.credentials.Expire()
		return true
	}
	if !s.follow || !isWrongRegion(answer) {
		return false
	}
	region := answer.Region
	if region == "" {
		region = s.askRegion(ctx)
	}
	if region == "" || region == used.region {
		// Another request may have found the region meanwhile.
		return s.signing.Load() != used
	}
	client, err := s.newClient(region)
	if err != nil {
		return false
	}
	s.signing.Store(&signing{region: region, client: minio.Core{Client: client}})
	return true
}

// askRegion asks for the bucket's region, for services that say only that it is
// another one.
func (s *Source) askRegion(ctx context.Context) string {
	client, err := s.newClient("")
	if err != nil {
		return ""
	}
	region, err := client.GetBucketLocation(ctx, s.bucket)
	if err != nil {
		return ""
	}
	return region
}

// isWrongRegion reports whether an answer is due to the region.
func isWrongRegion(answer minio.ErrorResponse) bool {
	switch answer.Code {
	case minio.AuthorizationHeaderMalformed, minio.InvalidRegion, "PermanentRedirect", "IllegalLocationConstraintException":
		return true
	}
	// Answers to HEAD have no body, and so no code of the service's.
	if answer.StatusCode == nethttp.StatusBadRequest && strings.HasPrefix(answer.Code, "400 ") {
		return true
	}
	// Some services name the region in every answer: only these are due to it.
	return slices.Contains([]int{nethttp.StatusMovedPermanently, nethttp.StatusForbidden}, answer.StatusCode) &&
		answer.Region != ""
}
