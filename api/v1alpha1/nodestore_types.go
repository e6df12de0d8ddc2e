// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeStore is what the stores of one node hold; it has the node's name. Kuda
// makes it when a runtime of the node first reports, and it goes with its node.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=nodestores,scope=Cluster,categories=kuda
// +kubebuilder:printcolumn:name="Bytes",type=string,JSONPath=`.status.size`
// +kubebuilder:printcolumn:name="Items",type=integer,JSONPath=`.status.items`
// +kubebuilder:printcolumn:name="Free",type=string,JSONPath=`.status.free`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type NodeStore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What the node holds. Written by the gateway from the runtimes' reports;
	// the NodeStore controller takes out what can no longer be believed.
	// +optional
	Status NodeStoreStatus `json:"status,omitzero"`
}

// NodeStoreStatus is what a node holds.
type NodeStoreStatus struct {
	// The complete snapshots of all stores.
	// +optional
	Items int32 `json:"items"`

	// Their bytes; files that snapshots share count in each.
	// +optional
	Bytes int64 `json:"bytes"`

	// The same for people, such as "12.5 GiB".
	// +optional
	Size string `json:"size,omitempty"`

	// The free bytes of the file system for people, such as "80.0 GiB".
	// +optional
	Free string `json:"free,omitempty"`

	// The stores, one for each namespace that has or had pods with data there.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	Stores []NamespaceStore `json:"stores,omitempty"`

	// The directories of stores of which nothing is believed any more and that may
	// still be on the node. An entry goes when a runtime reports the store again, or
	// when the namespace is gone and its directory is removed.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=uid
	// +kubebuilder:validation:MaxItems=1024
	Directories []StoreDirectory `json:"directories,omitempty"`

	// The directory that the stores are in, and those of the namespaces in it, were
	// closed to all users of the node but the runtimes', in this boot of the machine.
	// +optional
	Closed bool `json:"closed,omitempty"`

	// The keeper of kuda-node that reports the stores; absent where none does, and
	// each store is reported by a runtime.
	// +optional
	Keeper *KeeperStatus `json:"keeper,omitempty"`
}

// KeeperStatus is the keeper of a node as the gateway last heard it. While it is
// younger than KeeperTrust, what runtimes report of their store is not taken.
type KeeperStatus struct {
	// The keeper's pod, in the namespace of kuda-node.
	// +required
	// +kubebuilder:validation:MaxLength=253
	PodName string `json:"podName"`

	// Its version.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// When it last reported; renewed about every five minutes.
	// +required
	ObservedTime metav1.Time `json:"observedTime"`

	// Bytes that the snapshots of all stores may have together; 0 for no quota.
	// +optional
	QuotaBytes int64 `json:"quotaBytes,omitempty"`

	// Bytes of the complete snapshots of all stores that it looks after.
	// +optional
	UsedBytes int64 `json:"usedBytes,omitempty"`
}

// KeeperTrust is how long the keeper of a node counts as reporting after its last
// report.
const KeeperTrust = 15 * time.Minute

// SnapshotDamage is a snapshot that was found not to be what was delivered.
type SnapshotDamage struct {
	// The snapshot's name in the store.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// What it is of.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Version string `json:"version,omitempty"`

	// What differs.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// When it was found.
	// +required
	FoundTime metav1.Time `json:"foundTime"`
}

// StoreDirectory is a directory that a namespace's pods made on a node.
type StoreDirectory struct {
	// The namespace.
	// +required
	Namespace string `json:"namespace"`

	// Its UID. Empty for what an older release made, which knew the name only.
	// +required
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid"`
}

// NamespaceStore is the store of one namespace on one node. Everything in it was
// said by runtimes of that namespace or, where status.keeper is set, read by the
// keeper from what they wrote, so it must decide about pods of that namespace only.
type NamespaceStore struct {
	// The namespace.
	// +required
	Namespace string `json:"namespace"`

	// The namespace's UID: what was said of an earlier namespace of the name is void.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	NamespaceUID string `json:"namespaceUID,omitempty"`

	// Made together with the store's directory: a store with another ID is
	// another store, and what was known of the one before is void.
	// +required
	// +kubebuilder:validation:MaxLength=64
	StoreID string `json:"storeID"`

	// The boot of the machine in which this was said (node.status.nodeInfo.bootID).
	// +optional
	// +kubebuilder:validation:MaxLength=64
	BootID string `json:"bootID,omitempty"`

	// When this was last written.
	// +optional
	ObservedTime metav1.Time `json:"observedTime,omitzero"`

	// Bytes of the file system, and how many of them are free.
	// +optional
	CapacityBytes int64 `json:"capacityBytes"`
	// +optional
	FreeBytes int64 `json:"freeBytes"`

	// The most that snapshots and downloads may have; 0 for no quota.
	// +optional
	QuotaBytes int64 `json:"quotaBytes,omitempty"`

	// Bytes of the complete snapshots, those that are left out below among them.
	// +optional
	UsedBytes int64 `json:"usedBytes"`

	// How many bytes a download may have, once everything that is not needed
	// is evicted: what the quota and the file system's reserve leave.
	// +optional
	AvailableBytes int64 `json:"availableBytes"`

	// The snapshots: those that pods need first, then the most recently used.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Snapshots []StoredSnapshot `json:"snapshots,omitempty"`

	// How many complete snapshots there are beyond those listed, and their bytes.
	// +optional
	OmittedSnapshots int32 `json:"omittedSnapshots,omitempty"`
	// +optional
	OmittedBytes int64 `json:"omittedBytes,omitempty"`

	// Why the store, or a part of it, cannot be read. Empty: all of it was. The
	// keeper says so; then UsedBytes has what is known.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Unreadable string `json:"unreadable,omitempty"`

	// By when the keeper last compared every complete snapshot with what was
	// delivered.
	// +optional
	VerifiedTime *metav1.Time `json:"verifiedTime,omitempty"`

	// The snapshots that were found damaged last, newest first. What is here was
	// removed, or is delivered again.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Damaged []SnapshotDamage `json:"damaged,omitempty"`
}

// SnapshotPhase is how far a snapshot is.
// +kubebuilder:validation:Enum=Complete;Downloading
type SnapshotPhase string

// The phases of a snapshot.
const (
	SnapshotComplete    SnapshotPhase = "Complete"
	SnapshotDownloading SnapshotPhase = "Downloading"
)

// StoredSnapshot is one item at one version, on a node's disk.
type StoredSnapshot struct {
	// The snapshot's name in the store.
	// +required
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// What DataSets call these bytes: a hash of source, path, version and what
	// else decides them. Several when two sources are one storage system. None
	// of a snapshot that an older release delivered.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Marks []string `json:"marks,omitempty"`

	// Where it came from, such as s3://minio.storage:9000/models, and the path there.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Source string `json:"source,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`

	// The version that it was asked for by.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Version string `json:"version,omitempty"`

	// Digest of the whole.
	// +optional
	// +kubebuilder:validation:MaxLength=160
	Digest string `json:"digest,omitempty"`

	// Its bytes; of a download, those that it is to have as far as that is known.
	// +optional
	Bytes int64 `json:"bytes"`

	// Complete, or Downloading.
	// +required
	Phase SnapshotPhase `json:"phase"`

	// When it was last used; to the minute.
	// +optional
	LastUsedTime *metav1.Time `json:"lastUsedTime,omitempty"`

	// How many living pods of the node are at it or can go back to it.
	// +optional
	Pods int32 `json:"pods,omitempty"`

	// It is kept for spec.preheat of a DataSet.
	// +optional
	Preheated bool `json:"preheated,omitempty"`
}

// NodeStoreList is a list of NodeStores.
//
// +kubebuilder:object:root=true
type NodeStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodeStore `json:"items"`
}
