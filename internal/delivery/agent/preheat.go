// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// forgetPreheats removes the records of DataSets whose data is no longer to stay.
// Only what the gateway says now counts, not what is remembered of it.
func (a *Agent) forgetPreheats(m *gatewayv1alpha1.WatchResponse) error {
	if m.GetPreheats() == nil {
		return nil
	}
	keep := slices.Clone(m.GetPreheats().GetDatasets())
	for _, as := range m.GetAssignments() {
		if as.GetPreheat() {
			keep = append(keep, as.GetDataset())
		}
	}
	return a.env.Pods.ForgetPreheats(keep)
}
