// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// View is all that is shown. It is also what -o json prints.
type View struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// Scheduler that the pod asks for.
	Scheduler string `json:"scheduler"`
	// Node that it runs on, and when it was placed there.
	Node       string       `json:"node,omitempty"`
	PlacedTime *metav1.Time `json:"placedTime,omitempty"`
	// Pending says why it has no node yet.
	Pending *Pending `json:"pending,omitempty"`
	// Phase is the pod's.
	Phase string `json:"phase,omitempty"`
	// DataSets that select the pod, with what a new pod gets of them now.
	DataSets []DataSet `json:"dataSets"`
	// TotalBytes of what counts for placement, as far as sizes are known.
	TotalBytes int64 `json:"totalBytes"`
	// Preferences that Kuda's webhook put into the pod when it was made.
	Preferences []Preference `json:"preferences,omitempty"`
	// Weights that scores are computed by.
	Weights Points `json:"weights"`
	// ComputedTime is when what follows was so.
	ComputedTime metav1.Time `json:"computedTime"`
	// Events that the pod has, where the nodes are left out.
	Events []Event `json:"events,omitempty"`
	// Unread says what is left out because the user may not read it.
	Unread []string `json:"unread,omitempty"`
	// Nodes, those with the best score first.
	Nodes []Node `json:"nodes"`
	// Explanation says in words what decides, and Do what to do; commands begin
	// with "kubectl ".
	Explanation []string `json:"explanation"`
	Do          []string `json:"do,omitempty"`
}

// Pending is a pod without a node.
type Pending struct {
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Events are the newest of the scheduler's, where they say more.
	Events []Event `json:"events,omitempty"`
}

// Event is one that the pod has.
type Event struct {
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
	From    string      `json:"from,omitempty"`
	Time    metav1.Time `json:"time,omitzero"`
}

// DataSet is one that selects the pod.
type DataSet struct {
	Name      string                   `json:"name"`
	Placement v1alpha1.PlacementPolicy `json:"placement"`
	// Revision that new pods get; empty: the template as it is in the spec.
	Revision string `json:"revision,omitempty"`
	Items    []Item `json:"items"`
}

// Item is one that the pod wants.
type Item struct {
	// Name is the item's namespace/name.
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Bytes; 0 when no node has, or had, them.
	Bytes int64 `json:"bytes"`
	// Holders are the nodes that have it complete; not looked at with Ignore.
	Holders []string `json:"holders,omitempty"`
	// Phase, Reason and Message are what this pod says of it, once it has begun with this
	// version.
	Phase   v1alpha1.DataPhase `json:"phase,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Message string             `json:"message,omitempty"`
	// Origin is where this pod had it from, once it has this version.
	Origin v1alpha1.DataOrigin `json:"origin,omitempty"`
}

// Preference is one that the webhook put into the pod.
type Preference struct {
	Node   string `json:"node"`
	Weight int32  `json:"weight"`
}

// Node is one node, as far as data goes.
type Node struct {
	Name string `json:"name"`
	// Chosen: the pod was placed here.
	Chosen bool `json:"chosen,omitempty"`
	// HeldBytes that are there complete, DownloadingBytes that are on their way.
	HeldBytes        int64 `json:"heldBytes"`
	DownloadingBytes int64 `json:"downloadingBytes,omitempty"`
	// CachedBytes that a cache in front of a source has there.
	CachedBytes int64 `json:"cachedBytes,omitempty"`
	// Missing items.
	Missing []string `json:"missing,omitempty"`
	// Downloads that run in the namespace's store there, for any pod.
	Downloads int `json:"downloads"`
	// Pods of the same DataSets that are there, without this one.
	Pods int `json:"pods"`
	// RoomBytes that a download may have; nil without a report.
	RoomBytes *int64 `json:"roomBytes,omitempty"`
	// Score is what all of Points come to, from 0 to 100.
	Score  int64  `json:"score"`
	Points Points `json:"points"`
	// Against is what keeps pods, or this one, from the node.
	Against []string `json:"against,omitempty"`
}

// Points are a number for each dimension of a score.
type Points struct {
	Node      float64 `json:"node"`
	Rack      float64 `json:"rack"`
	Zone      float64 `json:"zone"`
	Downloads float64 `json:"downloads"`
	// Cache counts only where caches were filled with some of the data.
	Cache  float64 `json:"cache,omitempty"`
	Spread float64 `json:"spread"`
}
