// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// SourceOf is the source that an item refers to, or nil.
func SourceOf(i *gatewayv1alpha1.Item, sources []*gatewayv1alpha1.Source) *gatewayv1alpha1.Source {
	for _, s := range sources {
		if s.GetName() == i.GetSource() {
			return s
		}
	}
	return nil
}
