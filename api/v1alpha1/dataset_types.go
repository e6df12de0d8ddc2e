// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DataSet says which data a group of pods needs, from where, and how changes
// of it roll out.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=datasets,categories=kuda
// +kubebuilder:printcolumn:name="DataItems",type=integer,JSONPath=`.status.dataItems`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.updateRevision`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Updated",type=integer,priority=1,JSONPath=`.status.updatedReplicas`
// +kubebuilder:printcolumn:name="Rollout",type=string,priority=1,JSONPath=`.status.rollout.phase`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name: must have at most 63 characters, because it becomes a label value on the pods' Data"
type DataSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is wanted.
	// +required
	Spec DataSetSpec `json:"spec"`

	// What is.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status DataSetStatus `json:"status,omitzero"`
}

// DataSetSpec is what is wanted.
type DataSetSpec struct {
	// The labels that a pod of the same namespace must all carry to receive the
	// data. Any workload kind will do: Deployment, StatefulSet, DaemonSet, Job,
	// bare Pod. Pods that existed before the DataSet are counted in
	// status.uninjectedReplicas until they are restarted.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	WorkloadSelector map[string]string `json:"workloadSelector"`

	// What each of those pods gets. A change of it makes a new revision.
	// +required
	Template DataTemplateSpec `json:"template"`

	// How a new revision reaches running pods.
	// +optional
	// +kubebuilder:default={type: RollingUpdate}
	UpdateStrategy UpdateStrategy `json:"updateStrategy,omitzero"`

	// Holds a rollout where it is: no further pod is moved to the update
	// revision until this is false again. New pods get the stable revision.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// How long a rollout may go without a pod coming further before it counts as
	// failed, in seconds. Time in which it is paused, by a step or by hand, does
	// not count.
	// +optional
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2592000
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`

	// What a failed rollout leads to: no further pod is moved (Pause), the
	// touched pods go back to the stable revision (Rollback), or the others are
	// moved all the same (Continue). The spec is never edited.
	// +optional
	// +kubebuilder:default=Pause
	FailurePolicy FailurePolicy `json:"failurePolicy,omitempty"`

	// How many moved pods must fail for the rollout to have failed, as a number
	// or a percentage of the pods, rounded up; at least one. A pod fails when an
	// item or a hook fails for good, or when it turns unready or restarts a
	// container after the switch.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="failureThreshold: must be a number of at least 1, or a percentage from 1% to 100%"
	FailureThreshold *intstr.IntOrString `json:"failureThreshold,omitempty"`

	// Downloads a new revision to the nodes of all pods before the first of them
	// is moved, so that moving a pod is only a switch.
	// +optional
	Prefetch bool `json:"prefetch,omitempty"`

	// How many old revisions are kept for history and rollback.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RevisionHistoryLimit *int32 `json:"revisionHistoryLimit,omitempty"`

	// Whether the application's containers start only when their data is in
	// place (WaitForData) or at once (Immediately).
	// +optional
	// +kubebuilder:default=WaitForData
	StartPolicy StartPolicy `json:"startPolicy,omitempty"`

	// What happens in running pods when the DataSet is deleted: they keep what
	// they have (Retain), or it is taken out of their view (Remove).
	// +optional
	// +kubebuilder:default=Retain
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// Where new pods run: nodes that hold their data are preferred (Prefer),
	// required (Require, with kuda-scheduler), or not looked at (Ignore).
	// +optional
	// +kubebuilder:default=Prefer
	Placement PlacementPolicy `json:"placement,omitempty"`

	// Puts the data onto nodes before pods are there.
	// +optional
	Preheat *Preheat `json:"preheat,omitempty"`
}

// DataItem is one file or directory tree.
//
// +kubebuilder:validation:XValidation:rule="!self.localPath.matches('(^|/)[.][.]?(/|$)')",message="localPath: must not contain the segments . or .."
// +kubebuilder:validation:XValidation:rule="self.localPath.matches('[^/]')",message="localPath: must name a place below the data directory, such as model/weights"
type DataItem struct {
	// Unique among the items of the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// A word that groups items; not a Kubernetes namespace.
	// +optional
	// +default="default"
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Namespace string `json:"namespace"`

	// The path on the source: an object, a file, or a directory (prefix). In an
	// object store it is a key or a prefix; a leading slash has no meaning there.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	RemotePath string `json:"remotePath"`

	// Where the application finds it, below the data directory (/kuda/data
	// unless the installation says otherwise): conf/app.conf and /conf/app.conf
	// both are /kuda/data/conf/app.conf.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	LocalPath string `json:"localPath"`

	// The version of the data. It is a name: data is downloaded again when it
	// changes, and what is stored under a version must not.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Version string `json:"version"`

	// Which of dataSources it comes from.
	// +required
	DataSourceType DataSourceType `json:"dataSourceType"`

	// Hooks of this item.
	// +optional
	Lifecycle *Lifecycle `json:"lifecycle,omitempty"`

	// The digest that the bytes must have, sha256:<64 hex digits>. Of a file it
	// is the SHA-256 of its bytes; of a tree that of its listing, one line
	// "<sha256 of the file>  <path>\n" per file, sorted by path (what
	// "find -type f | sort | xargs sha256sum" prints, without leading "./").
	// +optional
	// +kubebuilder:validation:Pattern=`^sha256:[a-f0-9]{64}$`
	Digest string `json:"digest,omitempty"`

	// Permission bits of every file of the item, such as 0755 (493) for
	// executables. Without it files are 0644, or what the source records.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=511
	Mode *int32 `json:"mode,omitempty"`

	// Only files of a tree that match one of these patterns are delivered;
	// * stays within a path segment, ** crosses them. Empty: all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Include []string `json:"include,omitempty"`

	// Files of a tree that match one of these patterns are left out; wins over include.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Exclude []string `json:"exclude,omitempty"`

	// The container in which exec hooks run; without it the pod's first.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`
}

// StartPolicy says what the application's start waits for.
// +kubebuilder:validation:Enum=WaitForData;Immediately
type StartPolicy string

// The start policies.
const (
	StartPolicyWaitForData StartPolicy = "WaitForData"
	StartPolicyImmediately StartPolicy = "Immediately"
)

// DeletionPolicy says what becomes of delivered data when its DataSet is deleted.
// +kubebuilder:validation:Enum=Retain;Remove
type DeletionPolicy string

// The deletion policies.
const (
	DeletionPolicyRetain DeletionPolicy = "Retain"
	DeletionPolicyRemove DeletionPolicy = "Remove"
)

// DataSetStatus is what is.
type DataSetStatus struct {
	// The number of items in the template.
	// +optional
	DataItems int32 `json:"dataItems"`

	// The number of matching pods that carry the runtime.
	// +optional
	Replicas int32 `json:"replicas"`

	// How many of them have every item of the revision they are to have.
	// +optional
	Success int32 `json:"success"`

	// Success over the matching pods: replicas, and uninjectedReplicas unless their
	// namespace is opted out. Such as "3/4".
	// +optional
	Ready string `json:"ready,omitempty"`

	// How many of them have every item of the update revision.
	// +optional
	UpdatedReplicas int32 `json:"updatedReplicas"`

	// How many of them lack something of the revision they are to have.
	// +optional
	UnavailableReplicas int32 `json:"unavailableReplicas"`

	// How many of them have never started: they have no node yet, or their volumes,
	// sandbox or image fail. They hold no data and keep no other pod waiting.
	// +optional
	NotStartedReplicas int32 `json:"notStartedReplicas,omitempty"`

	// The number of matching pods without the runtime: they were created before
	// the DataSet, or while the webhook was away. Restart them.
	// +optional
	UninjectedReplicas int32 `json:"uninjectedReplicas"`

	// The generation of the spec that this status speaks of; -1 before the manager has
	// looked at it.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// The stable revision (a ControllerRevision's name): what new pods get while
	// a rollout runs.
	// +optional
	CurrentRevision string `json:"currentRevision,omitempty"`

	// The revision of the template as it is now.
	// +optional
	UpdateRevision string `json:"updateRevision,omitempty"`

	// The rollout of the update revision.
	// +optional
	Rollout *RolloutStatus `json:"rollout,omitempty"`

	// The rollouts, the newest last; at most 20.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	History []RolloutRecord `json:"history,omitempty"`

	// How far spec.preheat is.
	// +optional
	Preheat *PreheatStatus `json:"preheat,omitempty"`

	// Types: Ready, Progressing, Reconciling, Stalled, Injected, SourceDrifted, RolledBack,
	// Preheated.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DataSetList is a list of DataSets.
//
// +kubebuilder:object:root=true
type DataSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DataSet `json:"items"`
}
