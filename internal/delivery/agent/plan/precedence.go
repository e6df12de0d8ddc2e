// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// FindConflicts returns, of each DataSet whose place one that comes before it also wants,
// which one. The assignments come in the order of precedence, which is the same
// for all pods: who downloads faster has no say.
func FindConflicts(assignments []*gatewayv1alpha1.Assignment) map[string]*view.PathConflictError {
	conflicts := make(map[string]*view.PathConflictError)
	var before []view.Claim
	for _, a := range assignments {
		if a.GetWithdraw() {
			continue
		}
		claim := view.Claim{DataSet: a.GetDataset()}
		for _, item := range a.GetItems() {
			claim.LocalPaths = append(claim.LocalPaths, item.GetLocalPath())
		}
		if c := view.Precedes(before, claim); c != nil {
			conflicts[a.GetDataset()] = c
			continue // it gets no place that others could be in the way of
		}
		before = append(before, claim)
	}
	return conflicts
}
