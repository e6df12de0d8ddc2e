// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlacementPolicy says what the data that nodes hold means for where pods run.
// +kubebuilder:validation:Enum=Prefer;Require;Ignore
type PlacementPolicy string

// The placement policies.
const (
	// PlacementPrefer prefers nodes by the bytes of the pod's data that they hold.
	PlacementPrefer PlacementPolicy = "Prefer"
	// PlacementRequire lets a pod run only where all of its data is. It needs
	// kuda-scheduler; with another scheduler it is PlacementPrefer.
	PlacementRequire PlacementPolicy = "Require"
	// PlacementIgnore leaves pods where Kubernetes puts them.
	PlacementIgnore PlacementPolicy = "Ignore"
)

// Preheat puts a DataSet's data onto nodes before pods are there. Kuda runs a
// pod of its own on each of them, in the DataSet's namespace, until the data is
// in the node's store: at once, for each new revision that becomes the stable
// one, and by schedule. What is preheated stays until the DataSet no longer
// asks for it.
type Preheat struct {
	// The nodes: those with all of these labels; empty: every node that pods
	// can be scheduled to.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// How many of these nodes; all of them without it. Nodes that hold most of
	// the data come first, then those with most room.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Replicas *int32 `json:"replicas,omitempty"`

	// When to look again whether the nodes have the data, as a cron expression
	// of five fields in UTC, such as "0 3 * * *". Without it: when the revision,
	// this block or the nodes change.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Schedule string `json:"schedule,omitempty"`

	// Fill the caches in front of the sources first: one pod has them hold every
	// file that may come from them, and the other nodes begin when it has all of
	// it. With prefetch: true, a rollout does the same before the other pods
	// download the new revision.
	// +optional
	Cache bool `json:"cache,omitempty"`
}

// PreheatPhase is how far a node is.
// +kubebuilder:validation:Enum=Pending;Downloading;Ready;Failed
type PreheatPhase string

// The phases of a node's preheat.
const (
	PreheatPending     PreheatPhase = "Pending"
	PreheatDownloading PreheatPhase = "Downloading"
	PreheatReady       PreheatPhase = "Ready"
	PreheatFailed      PreheatPhase = "Failed"
)

// PreheatStatus is how far spec.preheat is.
type PreheatStatus struct {
	// The revision (a ControllerRevision's name) that this speaks of.
	// +optional
	Revision string `json:"revision,omitempty"`

	// How many nodes are to have it, and how many have it.
	// +optional
	Desired int32 `json:"desired"`
	// +optional
	Ready int32 `json:"ready"`

	// How many failed; they are tried again.
	// +optional
	Failed int32 `json:"failed"`

	// Each of these nodes, by name; at most 100, those that are not ready first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Nodes []PreheatNodeStatus `json:"nodes,omitempty"`

	// How far the caches in front of the sources are filled, with
	// spec.preheat.cache.
	// +optional
	Cache *PreheatCacheStatus `json:"cache,omitempty"`

	// When the schedule last came round, and when it does next.
	// +optional
	LastScheduleTime *metav1.Time `json:"lastScheduleTime,omitempty"`
	// +optional
	NextScheduleTime *metav1.Time `json:"nextScheduleTime,omitempty"`

	// The last value of the annotation kuda.io/rollout-request that asked for a
	// retry and was carried out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	Request *string `json:"request,omitempty"`
}

// PreheatNodeStatus is how far one node is.
type PreheatNodeStatus struct {
	// The node.
	// +required
	Node string `json:"node"`

	// Pending, Downloading, Ready or Failed.
	// +required
	Phase PreheatPhase `json:"phase"`

	// Why, where it is not ready: an item's reason, or one of the pod's.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The same for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// When the phase began.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}

// PreheatCacheStatus is how far the caches in front of the sources are filled.
type PreheatCacheStatus struct {
	// Pending, Downloading, Ready (they hold every byte that may come from them)
	// or Failed (it is tried again).
	// +required
	Phase PreheatPhase `json:"phase"`

	// The node of the pod that fills them.
	// +optional
	Node string `json:"node,omitempty"`

	// Bytes that they hold, and bytes that may come from them.
	// +optional
	HeldBytes int64 `json:"heldBytes,omitempty"`
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`

	// Which hosts hold how much of it, as the caches say; at most 32, those with
	// most first. kuda-scheduler prefers the nodes that have these names or
	// addresses.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Holders []CacheHolder `json:"holders,omitempty"`

	// Why, where they are not full: the reason of a cache, of an item, or of the pod.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The same for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// When the phase began.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
}
