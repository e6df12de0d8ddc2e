// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// nodeGroups returns the label's value of each node that a live pod runs on, for
// DataSets that group by it.
func (r *Reconciler) nodeGroups(ctx context.Context, d *v1alpha1.DataSet, o *observation) (map[string]string, error) {
	rolling := d.Spec.UpdateStrategy.RollingUpdate
	if rolling == nil || rolling.TopologyKey == "" {
		return nil, nil
	}
	groups := make(map[string]string)
	for _, x := range o.live {
		name := x.pod.Spec.NodeName
		if _, known := groups[name]; known || name == "" {
			continue
		}
		var node corev1.Node
		if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &node); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading node %s: %w", name, err)
		}
		groups[name] = node.Labels[rolling.TopologyKey]
	}
	return groups, nil
}
