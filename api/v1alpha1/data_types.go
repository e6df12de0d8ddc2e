// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Data is what one pod should have of one DataSet, and what it has. Kuda makes
// it; it goes with its pod.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=datas,categories=kuda
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Node",type=string,priority=1,JSONPath=`.status.nodeName`
// +kubebuilder:printcolumn:name="Revision",type=string,priority=1,JSONPath=`.spec.revision`
// +kubebuilder:printcolumn:name="Progress",type=string,priority=1,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Data struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What the pod should have. Written by the DataSet controller.
	// +required
	Spec DataSpec `json:"spec"`

	// What it has. Written by the gateway from the runtime's reports.
	// +optional
	Status DataStatus `json:"status,omitzero"`
}

// DataSpec is what the pod should have.
type DataSpec struct {
	// The items.
	// +required
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	DataItems []DataItem `json:"dataItems"`

	// Where they come from.
	// +required
	DataSources DataSources `json:"dataSources"`

	// Hooks of the DataSet as a whole.
	// +optional
	Lifecycle *Lifecycle `json:"lifecycle,omitempty"`

	// The revision of the DataSet (a ControllerRevision's name) that these items are of.
	// +optional
	Revision string `json:"revision,omitempty"`

	// The pod's name.
	// +optional
	PodName string `json:"podName,omitempty"`

	// What the pod was like when it was moved to this revision; absent for the
	// revision that it started with. A pod that is worse afterwards has failed.
	// +optional
	Baseline *PodHealth `json:"baseline,omitempty"`

	// The revision (a ControllerRevision's name) to download into the store for
	// a later move.
	// +optional
	PrefetchRevision string `json:"prefetchRevision,omitempty"`

	// The caches in front of the sources are to hold every file that may come
	// from them before it is downloaded: those of prefetchRevision, or without
	// one, those of these items.
	// +optional
	FillCache bool `json:"fillCache,omitempty"`

	// The DataSet is being deleted with deletionPolicy Remove: the items are to
	// be taken out of the pod's view.
	// +optional
	Withdraw bool `json:"withdraw,omitempty"`

	// Names a request to try now what failed. The runtime acts on each value
	// once; a value that stays does nothing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	RetryToken *string `json:"retryToken,omitempty"`
}

// PodHealth is what a pod was like at a time.
type PodHealth struct {
	// Whether it was Ready.
	// +optional
	Ready bool `json:"ready,omitempty"`
	// When its condition Ready last changed.
	// +optional
	ReadyTransitionTime *metav1.Time `json:"readyTransitionTime,omitempty"`
	// How often its containers had restarted, the runtime's not counted.
	// +optional
	Restarts int32 `json:"restarts,omitempty"`
	// How often the runtime's container had restarted, be it alone or because
	// the node started the whole pod again.
	// +optional
	RuntimeRestarts int32 `json:"runtimeRestarts,omitempty"`
}

// PrefetchStatus is how far spec.prefetchRevision is.
type PrefetchStatus struct {
	// The revision that this speaks of.
	// +required
	Revision string `json:"revision"`

	// waiting, downloading, success (all of it is in the store) or failed.
	// +optional
	Phase DataPhase `json:"phase,omitempty"`

	// As of an item: that of the first one that failed.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The same for people.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// Bytes on disk, and bytes to have.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`
}

// DataStatus is what the pod has.
type DataStatus struct {
	// The number of items.
	// +optional
	DataItems int32 `json:"dataItems"`

	// How many are delivered: verified, in the view, hooks done.
	// +optional
	Success int32 `json:"success"`

	// How many wait.
	// +optional
	Waiting int32 `json:"waiting"`

	// How many are on their way, or in the view with a hook to run.
	// +optional
	Downloading int32 `json:"downloading"`

	// How many failed.
	// +optional
	Failed int32 `json:"failed"`

	// Success over dataItems, such as "1/1"; "?/1" while the condition Ready is Unknown.
	// +optional
	Ready string `json:"ready,omitempty"`

	// Bytes on disk over bytes to have, such as "42%".
	// +optional
	Progress string `json:"progress,omitempty"`

	// The node that the pod runs on.
	// +optional
	NodeName string `json:"nodeName,omitempty"`

	// The revision whose items the counts speak of; equal to spec.revision once
	// the runtime has heard of it.
	// +optional
	ObservedRevision string `json:"observedRevision,omitempty"`

	// The revision that the application sees.
	// +optional
	CurrentRevision string `json:"currentRevision,omitempty"`

	// How far spec.prefetchRevision is.
	// +optional
	Prefetch *PrefetchStatus `json:"prefetch,omitempty"`

	// Each item.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	DataItemsStatus []DataItemStatus `json:"dataItemsStatus,omitempty"`

	// Types: Ready, CredentialsAvailable, CacheDegraded.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DataItemStatus is the state of one item in one pod.
type DataItemStatus struct {
	// As in spec.
	// +required
	Name string `json:"name"`

	// As in spec.
	// +optional
	// +default="default"
	// +kubebuilder:default=default
	Namespace string `json:"namespace"`

	// The version that the phase speaks of.
	// +optional
	Version string `json:"version,omitempty"`

	// waiting, downloading, success or failed. A failed item is tried again by
	// itself when trying again can help.
	// +optional
	Phase DataPhase `json:"phase,omitempty"`

	// Why it is in this phase: a documented CamelCase word.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The same for people; for a failure also what to do.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`

	// When work on this version began.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// When this version was delivered.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`

	// Bytes on disk.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`

	// Bytes to have.
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`

	// The digest of what is on disk: sha256:... where one was asked for,
	// else xxh3:....
	// +optional
	Digest string `json:"digest,omitempty"`

	// Where the bytes came from: source, cache, node (another pod of the node
	// had downloaded them) or peer.
	// +optional
	Origin DataOrigin `json:"origin,omitempty"`

	// What the cache in front of the source did for the item when this pod
	// downloaded it.
	// +optional
	Cache *CacheUse `json:"cache,omitempty"`

	// How far the cache in front of the source is filled, with spec.fillCache.
	// +optional
	CacheFill *CacheFill `json:"cacheFill,omitempty"`
}

// CacheHolder is a host that holds bytes of a cache.
type CacheHolder struct {
	// A name or an address.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host"`

	// How many bytes it holds.
	// +required
	Bytes int64 `json:"bytes"`
}

// CacheFill is how far a cache is filled with an item.
type CacheFill struct {
	// Bytes that the cache holds, and bytes that may come from it as far as they
	// are known.
	// +optional
	HeldBytes int64 `json:"heldBytes,omitempty"`
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`

	// Which hosts hold how much of it, as the cache says; at most 32, those with
	// most first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Holders []CacheHolder `json:"holders,omitempty"`

	// Whether it was looked at to the end: then the cache holds all of it, or the
	// reason says why it does not.
	// +optional
	Done bool `json:"done,omitempty"`

	// Why the cache does not hold all of it, as of the condition CacheDegraded.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The same for people.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// CacheUse is what a cache did for an item, in bytes.
type CacheUse struct {
	// Came from the cache, and were proved by a checksum of the source.
	// +optional
	ServedBytes int64 `json:"servedBytes,omitempty"`

	// Came from the source.
	// +optional
	SourceBytes int64 `json:"sourceBytes,omitempty"`

	// Came from the cache, and were not what the source promised.
	// +optional
	RejectedBytes int64 `json:"rejectedBytes,omitempty"`

	// Why most of the bytes that the cache was to serve and did not came from the
	// source; absent when there are no such bytes.
	// +optional
	FallbackReason string `json:"fallbackReason,omitempty"`

	// The first error of the cache, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// DataPhase is where an item is on its way.
// +kubebuilder:validation:Enum=waiting;downloading;success;failed
type DataPhase string

// The phases of an item.
const (
	DataWaiting     DataPhase = "waiting"
	DataDownloading DataPhase = "downloading"
	DataSuccess     DataPhase = "success"
	DataFailed      DataPhase = "failed"
)

// DataOrigin says where an item's bytes came from.
// +kubebuilder:validation:Enum=source;cache;node;peer
type DataOrigin string

// The origins.
const (
	OriginSource DataOrigin = "source"
	OriginCache  DataOrigin = "cache"
	OriginNode   DataOrigin = "node"
	OriginPeer   DataOrigin = "peer"
)

// DataList is a list of Data.
//
// +kubebuilder:object:root=true
type DataList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Data `json:"items"`
}
