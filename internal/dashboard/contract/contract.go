// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/insight/status"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

// Mode is how the page is reached.
type Mode string

// The modes.
const (
	// ModeLocal: the server runs beside the user, with the user's kubeconfig.
	ModeLocal Mode = "local"
	// ModeCluster: the server runs in the cluster, with the token of who signed in.
	ModeCluster Mode = "cluster"
)

// Me is who looks, and at what.
type Me struct {
	Mode Mode   `json:"mode"`
	User string `json:"user"`
	// Cluster is the name of the context, or empty.
	Cluster string `json:"cluster,omitempty"`
	// Namespace to begin with.
	Namespace string `json:"namespace"`
	Version   string `json:"version"`
	// Installed: the cluster knows DataSets.
	Installed bool `json:"installed"`
}

// Right is something that a user may be allowed to do.
type Right string

// The rights.
const (
	// RightSteer is to change DataSets.
	RightSteer Right = "steer"
	// RightExec is to ask runtimes for files.
	RightExec Right = "exec"
	// RightNodes is to read nodes and what they hold.
	RightNodes Right = "nodes"
	// RightEvents is to read events.
	RightEvents Right = "events"
)

// Access is what the user may do in a namespace.
type Access struct {
	Namespace string         `json:"namespace"`
	Rights    map[Right]bool `json:"rights"`
}

// DataSets is the overview.
type DataSets struct {
	// Namespace is the one that was read; empty: all.
	Namespace string `json:"namespace,omitempty"`
	// Narrowed: one namespace was read because the user may not read all.
	Narrowed bool          `json:"narrowed,omitempty"`
	Items    []status.View `json:"items"`
}

// Scene is all that is shown live of one DataSet. Its View has no pods: those that are
// looked at are in the Window.
type Scene struct {
	View status.View `json:"view"`
	UID  types.UID   `json:"uid"`
	// Choices that the state allows.
	Choices    []steer.Choice     `json:"choices"`
	Steps      []Step             `json:"steps,omitempty"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	Groups     []Group            `json:"groups,omitempty"`
	Timeline   Timeline           `json:"timeline"`
	Window     Window             `json:"window"`
	// SeenTime is when this was so.
	SeenTime metav1.Time `json:"seenTime"`
	// Trouble says what keeps it from being up to date.
	Trouble string `json:"trouble,omitempty"`
}

// Step is one step of spec.updateStrategy.
type Step struct {
	// Kind is partition, pause or analysis.
	Kind string `json:"kind"`
	// Partition as the spec has it.
	Partition string `json:"partition,omitempty"`
	// Seconds of a pause; 0: until it is promoted.
	Seconds int64 `json:"seconds,omitempty"`
	// Count of measurements that it takes, and how many Succeeded and Failed so far.
	Count     int32 `json:"count,omitempty"`
	Succeeded int32 `json:"succeeded,omitempty"`
	Failed    int32 `json:"failed,omitempty"`
	// State is done, current or ahead.
	State string `json:"state"`
}

// Group is how many pods are held back by the same reason.
type Group struct {
	State  status.State `json:"state"`
	Reason string       `json:"reason"`
	Pods   int          `json:"pods"`
}

// Timeline is how many pods had the update revision by when, computed from what the pods
// say, so that it is whole for a page that is opened late.
type Timeline struct {
	// Begin of the rollout; Seconds count from it.
	Begin   metav1.Time `json:"begin,omitzero"`
	Seconds []int64     `json:"seconds"`
	Pods    []int       `json:"pods"`
	Total   int         `json:"total"`
}

// Window is a part of the pods.
type Window struct {
	// Total of those that match.
	Total  int          `json:"total"`
	Offset int          `json:"offset"`
	Pods   []status.Pod `json:"pods"`
}

// Event is one that Kubernetes keeps of the DataSet or one of its pods.
type Event struct {
	Type    string      `json:"type"`
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
	Object  string      `json:"object"`
	Count   int32       `json:"count,omitempty"`
	Time    metav1.Time `json:"time"`
}

// Text is an object as YAML.
type Text struct {
	Name string `json:"name"`
	YAML string `json:"yaml"`
}

// Pod is a pod with what it has of each DataSet.
type Pod struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	DataSets  []PodData `json:"dataSets"`
}

// PodData is what a pod has of one DataSet.
type PodData struct {
	DataSet string     `json:"dataSet"`
	Pod     status.Pod `json:"pod"`
}

// SteerRequest asks for a change of a rollout. It is refused when the DataSet is another
// one by now, or rolls out another revision.
type SteerRequest struct {
	UID types.UID `json:"uid"`
	// UpdateRevision is the one that the user saw.
	UpdateRevision string `json:"updateRevision,omitempty"`
	// Full leaves out all further steps, for promote.
	Full bool `json:"full,omitempty"`
	// Revision to go back to, for undo; 0: the one before.
	Revision int64 `json:"revision,omitempty"`
	// DryRun changes nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// SteerResult is what came of it.
type SteerResult struct {
	Message string `json:"message"`
	// Warnings of what may undo it again.
	Warnings []string `json:"warnings,omitempty"`
}

// Problem is an answer that is not the wanted one.
type Problem struct {
	// Code is a CamelCase word.
	Code    string `json:"code"`
	Message string `json:"message"`
}

// SignIn brings the secret of the URL, or a token.
type SignIn struct {
	Secret string `json:"secret,omitempty"`
	Token  string `json:"token,omitempty"`
}
