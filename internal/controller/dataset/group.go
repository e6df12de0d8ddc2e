// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// nodesTimeout ends the wait for the cache of nodes, which begins with the
// first DataSet that groups by them; without the right to watch nodes it would
// never end.
const nodesTimeout = 30 * time.Second

// groups answers the label's value of each node that a live pod runs on. Nodes
// are read as metadata alone, and only for DataSets that group by them.
func (r *Reconciler) groups(ctx context.Context, d *v1alpha1.DataSet, o *observation) (map[string]string, error) {
	rolling := d.Spec.UpdateStrategy.RollingUpdate
	if rolling == nil || rolling.TopologyKey == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	groups := make(map[string]string)
	for _, x := range o.live {
		name := x.pod.Spec.NodeName
		if _, known := groups[name]; known || name == "" {
			continue
		}
		node := &metav1.PartialObjectMetadata{}
		node.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
		if err := r.client.Get(ctx, types.NamespacedName{Name: name}, node); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading node %s: %w", name, err)
		}
		groups[name] = node.Labels[rolling.TopologyKey]
	}
	return groups, nil
}
