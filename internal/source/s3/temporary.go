// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// fetchLimit is how long getting new credentials may take.
	fetchLimit = 20 * time.Second
	// earliest and share say when credentials are renewed: so long before they
	// end, but not before this share of their life is over.
	earliest = 5 * time.Minute
	share    = 0.8
	// fetchPause is how long the old credentials are used before new ones are
	// asked for again, after that failed.
	fetchPause = 15 * time.Second
	// unlimited is how long credentials are used that do not say when they end.
	unlimited = time.Hour
)

// fetch gets new credentials. Its errors have a class.
type fetch func(ctx context.Context) (credentials.Value, error)

// temporary is a provider of credentials that end. It renews them in time, and
// uses the old ones for as long as they are valid when that fails.
type temporary struct {
	fetch fetch
	now   func() time.Time

	mu    sync.Mutex
	value credentials.Value
	renew time.Time
}

// RetrieveWithCredContext gets new credentials. The client calls it once at a
// time, with a context that does not end when a request is given up.
func (p *temporary) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx := context.Background()
	if cc != nil && cc.Context != nil {
		ctx = cc.Context
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	value, err := p.fetch(ctx)

	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if err != nil {
		if !p.value.Expiration.After(now) {
			return credentials.Value{}, err
		}
		p.renew = now.Add(min(fetchPause, p.value.Expiration.Sub(now)))
		return p.value, nil
	}
	value.SignerType = credentials.SignatureV4
	p.value, p.renew = value, renewalTime(now, value.Expiration)
	return value, nil
}

// Retrieve is RetrieveWithCredContext without a context.
func (p *temporary) Retrieve() (credentials.Value, error) { return p.RetrieveWithCredContext(nil) }

// IsExpired reports whether it is time for new credentials.
func (p *temporary) IsExpired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.now().Before(p.renew)
}

// renewalTime returns when to renew credentials that were fetched now.
func renewalTime(now, end time.Time) time.Time {
	if end.IsZero() {
		return now.Add(unlimited)
	}
	life := end.Sub(now)
	return now.Add(max(life-earliest, time.Duration(float64(life)*share)))
}
