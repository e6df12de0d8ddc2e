// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DataLocalityArgs are the arguments of the plugin DataLocality.
//
// +kubebuilder:object:root=true
type DataLocalityArgs struct {
	metav1.TypeMeta `json:",inline"`

	// Weights of the dimensions of the score.
	Weights Weights `json:"weights,omitzero"`

	// RackLabel is the label of nodes whose value names the rack. Default: none;
	// racks then have no part in the score.
	RackLabel *string `json:"rackLabel,omitempty"`

	// RoomCheck rejects nodes whose store is known to lack room for what the pod
	// misses there. Default: true.
	RoomCheck *bool `json:"roomCheck,omitempty"`
}

// Weights say how much each dimension counts, from 0 to 100 each; what matters
// is their ratio.
type Weights struct {
	// Node is for the share of the pod's bytes that is on the node. Default: 70.
	Node *int64 `json:"node,omitempty"`

	// Rack is for the share that is on nodes of the same rack. Default: 5 with
	// rackLabel, 0 without.
	Rack *int64 `json:"rack,omitempty"`

	// Zone is for the share that is on nodes of the same zone. Default: 5.
	Zone *int64 `json:"zone,omitempty"`

	// Downloads is for nodes on which few downloads run. Default: 10.
	Downloads *int64 `json:"downloads,omitempty"`

	// Cache is for the share that is on the node, or in a worker there of the cache in
	// front of a source. It counts only where that was filled with some of the pod's
	// data. Default: 5.
	Cache *int64 `json:"cache,omitempty"`

	// Spread is for nodes that have few pods of the same DataSets, compared with
	// the other nodes that hold the data. Default: 10.
	Spread *int64 `json:"spread,omitempty"`
}
