// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Places knows which nodes hold the data of a pod.
type Places struct {
	// Index is what nodes hold.
	Index *index.Index
	// Ready reports whether the index is filled.
	Ready func() bool
	// Wants says what new pods are to have.
	Wants *placement.Memo
}

var errNotFilled = errors.New("what the nodes hold is not known yet")

// placingLimit bounds how long a pod waits for a preference. Usually nothing is
// waited for: a revision is read once.
const placingLimit = 200 * time.Millisecond

// preferredNodes returns the nodes that hold what a pod wants that these DataSets select.
// The seed is another one for each pod.
func (p *Places) preferredNodes(ctx context.Context, namespace string, dataSets []*v1alpha1.DataSet,
	seed string) ([]index.Preference, error) {
	if !p.Ready() {
		return nil, errNotFilled
	}
	ctx, cancel := context.WithTimeout(ctx, placingLimit)
	defer cancel()
	wants, err := p.Wants.Of(ctx, dataSets)
	if err != nil {
		return nil, fmt.Errorf("finding what the pod is to have: %w", err)
	}
	if len(wants) == 0 {
		return nil, nil
	}
	demand := p.Index.Demand(namespace, wants)
	if demand.Negligible() {
		return nil, nil
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(seed))
	return index.Preferences(demand, index.MaxPreferences, hash.Sum64()), nil
}
