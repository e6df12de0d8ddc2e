// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// UpdateStrategy is how a new revision reaches running pods.
//
// +kubebuilder:validation:XValidation:rule="!has(self.rollingUpdate) || self.type == 'RollingUpdate'",message="rollingUpdate: goes with type RollingUpdate only"
// +kubebuilder:validation:XValidation:rule="self.type != 'OnDelete' || !has(self.steps) || self.steps.size() == 0",message="steps: have no meaning with type OnDelete; leave them out"
type UpdateStrategy struct {
	// RollingUpdate moves running pods step by step, in place, without a
	// restart; OnDelete gives the new revision to new pods only.
	// +optional
	// +kubebuilder:default=RollingUpdate
	Type UpdateStrategyType `json:"type,omitempty"`

	// How the pods are moved.
	// +optional
	RollingUpdate *RollingUpdate `json:"rollingUpdate,omitempty"`

	// Stations of a rollout, taken in order: a share of the pods, a pause, a
	// look at measurements. After the last one the rollout goes on to the end.
	// The first revision of a DataSet takes no steps.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Steps []RolloutStep `json:"steps,omitempty"`
}

// RollingUpdate is how pods are moved in place.
type RollingUpdate struct {
	// How many pods may be without a complete delivery of their revision, or not
	// Ready, at the same time because of the rollout, as a number or a
	// percentage of the pods, rounded up; at least one.
	// +optional
	// +kubebuilder:default="25%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="maxUnavailable: must be a number of at least 1, or a percentage from 1% to 100%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// How many pods stay on the stable revision, as a number or a percentage of
	// the pods, rounded up.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 0 : self.matches('^([0-9]|[1-9][0-9]|100)%$')",message="partition: must be a number of at least 0, or a percentage from 0% to 100%"
	Partition *intstr.IntOrString `json:"partition,omitempty"`

	// How long a moved pod must have been Ready, with everything delivered,
	// before it counts as updated.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`

	// The label of nodes by which pods are grouped, such as
	// topology.kubernetes.io/zone: a group is finished before the next is begun.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	TopologyKey string `json:"topologyKey,omitempty"`
}

// RolloutStep is one station; exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="(has(self.partition) ? 1 : 0) + (has(self.pause) ? 1 : 0) + (has(self.analysis) ? 1 : 0) == 1",message="set exactly one of partition, pause and analysis"
type RolloutStep struct {
	// Moves pods until this many are left on the stable revision, as a number or
	// a percentage, rounded up. The step ends when the moved ones are updated.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]|[1-9][0-9]|100)%$`
	Partition *intstr.IntOrString `json:"partition,omitempty"`

	// Waits: for a time, or without one until promote is requested.
	// +optional
	Pause *PauseStep `json:"pause,omitempty"`

	// Measures, and goes on or fails the rollout.
	// +optional
	Analysis *AnalysisStep `json:"analysis,omitempty"`
}

// PauseStep waits.
type PauseStep struct {
	// How long, such as 10m; without it until kubectl kuda promote.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="duration: must not be negative"
	Duration *metav1.Duration `json:"duration,omitempty"`
}

// AnalysisStep measures something outside and decides by it. It takes count
// measurements, one each interval. A measurement fails when failureCondition
// holds, or when there is a successCondition and it does not hold; one that
// could not be taken counts as failed too. With more failed measurements than
// failureLimit the rollout fails, and failurePolicy says what follows.
//
// +kubebuilder:validation:XValidation:rule="has(self.prometheus) != has(self.http)",message="set exactly one of prometheus and http"
// +kubebuilder:validation:XValidation:rule="has(self.http) || has(self.successCondition) || has(self.failureCondition)",message="set successCondition, failureCondition or both, such as: result[0] < 0.01"
type AnalysisStep struct {
	// A query of a Prometheus server.
	// +optional
	Prometheus *PrometheusQuery `json:"prometheus,omitempty"`

	// A call of a web service.
	// +optional
	HTTP *HTTPCheck `json:"http,omitempty"`

	// A CEL expression that holds when the measurement is good. It knows result:
	// of a query the list of its values (result[0] < 0.01), of a call the body
	// read as JSON (result.healthy), and status, the call's status code.
	// Without one a call is good when its status is from 200 to 299.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	SuccessCondition string `json:"successCondition,omitempty"`

	// A CEL expression that holds when the measurement is bad.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	FailureCondition string `json:"failureCondition,omitempty"`

	// The time from one measurement to the next; the first is taken one
	// interval after the step began, so that it sees the moved pods.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="interval: must be from 1s to 24h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// How many measurements are taken.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Count int32 `json:"count,omitempty"`

	// How many measurements may fail.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	FailureLimit int32 `json:"failureLimit,omitempty"`
}

// PrometheusQuery is an instant query.
type PrometheusQuery struct {
	// The server, such as http://prometheus.monitoring:9090.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s@]+$`
	Address string `json:"address"`

	// In PromQL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Query string `json:"query"`
}

// HTTPCheck is a GET of an address.
type HTTPCheck struct {
	// The address, such as http://checks.shop/models.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s@]+$`
	URL string `json:"url"`
}

// UpdateStrategyType is how a new revision reaches running pods.
// +kubebuilder:validation:Enum=RollingUpdate;OnDelete
type UpdateStrategyType string

// The update strategies.
const (
	RollingUpdateStrategyType UpdateStrategyType = "RollingUpdate"
	OnDeleteStrategyType      UpdateStrategyType = "OnDelete"
)

// FailurePolicy is what a failed rollout leads to.
// +kubebuilder:validation:Enum=Pause;Rollback;Continue
type FailurePolicy string

// The failure policies.
const (
	// FailurePolicyPause moves no further pod until retry, abort or an edit.
	FailurePolicyPause FailurePolicy = "Pause"
	// FailurePolicyRollback moves the touched pods back to the stable revision.
	FailurePolicyRollback FailurePolicy = "Rollback"
	// FailurePolicyContinue goes on with the others; maxUnavailable still holds.
	FailurePolicyContinue FailurePolicy = "Continue"
)

// RolloutPhase is where the rollout of the update revision is.
// +kubebuilder:validation:Enum=Delivering;Prefetching;Progressing;Stopped;RollingBack;RolledBack;Completed
type RolloutPhase string

// The phases of a rollout.
const (
	// RolloutDelivering: the first delivery, of a revision that replaces no other one.
	// It ends as Completed when every pod that has started has every item, and at least
	// one pod had it.
	RolloutDelivering RolloutPhase = "Delivering"
	// RolloutPrefetching: the bytes go to the nodes; no pod is moved yet.
	RolloutPrefetching RolloutPhase = "Prefetching"
	// RolloutProgressing: pods are moved, or wait for a step, a partition or a pause.
	RolloutProgressing RolloutPhase = "Progressing"
	// RolloutStopped: it failed, and failurePolicy Pause holds it.
	RolloutStopped RolloutPhase = "Stopped"
	// RolloutRollingBack: it failed or was aborted; touched pods return.
	RolloutRollingBack RolloutPhase = "RollingBack"
	// RolloutRolledBack: every touched pod is back. The revision is not tried
	// again until the template changes or retry is requested.
	RolloutRolledBack RolloutPhase = "RolledBack"
	// RolloutCompleted: every pod has the revision, and it is the stable one.
	RolloutCompleted RolloutPhase = "Completed"
)

// RolloutStatus is the state of the rollout of the update revision. It is all
// that a restarted manager needs to go on.
type RolloutStatus struct {
	// The revision that is rolled out.
	// +required
	Revision string `json:"revision"`

	// Where it is.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`

	// When it began and, in one of the phases that end it, when it ended.
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`
	// +optional
	EndTime *metav1.MicroTime `json:"endTime,omitempty"`

	// When a pod last came further; progressDeadlineSeconds counts from here.
	// +optional
	ProgressTime *metav1.MicroTime `json:"progressTime,omitempty"`

	// How many pods count as updated, at the time of progressTime.
	// +optional
	Updated int32 `json:"updated,omitempty"`

	// The index of the step that is being taken; the number of steps when all
	// are done.
	// +optional
	Step int32 `json:"step,omitempty"`

	// When that step began.
	// +optional
	StepStartTime *metav1.MicroTime `json:"stepStartTime,omitempty"`

	// The measurements of the step that is being taken.
	// +optional
	Analysis *AnalysisStatus `json:"analysis,omitempty"`

	// The moved pods that failed, for the threshold; at most the first 100, sorted.
	// +optional
	// +listType=set
	FailedPods []string `json:"failedPods,omitempty"`

	// The last request (annotation kuda.io/rollout-request) that was honoured.
	// +optional
	Request string `json:"request,omitempty"`

	// Why it is in this phase: a documented CamelCase word.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The same for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// AnalysisStatus counts the measurements of an analysis step.
type AnalysisStatus struct {
	// +optional
	Succeeded int32 `json:"succeeded,omitempty"`
	// +optional
	Failed int32 `json:"failed,omitempty"`
	// When the last one was taken.
	// +optional
	LastTime *metav1.MicroTime `json:"lastTime,omitempty"`
	// What it found.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// RolloutOutcome is how a rollout ended.
// +kubebuilder:validation:Enum=Running;Succeeded;Failed;Stopped;RolledBack;Superseded
type RolloutOutcome string

// The outcomes.
const (
	// OutcomeRunning: it has not ended.
	OutcomeRunning RolloutOutcome = "Running"
	// OutcomeSucceeded: every pod has the revision, at least one pod had all of it, and
	// fewer pods failed than failureThreshold says.
	OutcomeSucceeded RolloutOutcome = "Succeeded"
	// OutcomeFailed: every pod has the revision although as many failed as
	// failureThreshold says (failurePolicy Continue).
	OutcomeFailed RolloutOutcome = "Failed"
	// OutcomeStopped: it failed, and failurePolicy Pause holds it.
	OutcomeStopped RolloutOutcome = "Stopped"
	// OutcomeRolledBack: it failed or was aborted, and the pods are back.
	OutcomeRolledBack RolloutOutcome = "RolledBack"
	// OutcomeSuperseded: the template changed before it ended.
	OutcomeSuperseded RolloutOutcome = "Superseded"
)

// RolloutRecord is one rollout in the history.
type RolloutRecord struct {
	// The revision (a ControllerRevision's name).
	// +required
	Revision string `json:"revision"`

	// Its number at that time; numbers only grow.
	// +optional
	Number int64 `json:"number,omitempty"`

	// The change cause (annotation kubernetes.io/change-cause of the DataSet).
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ChangeCause string `json:"changeCause,omitempty"`

	// Who changed the template, by the field managers of the DataSet.
	// +optional
	By string `json:"by,omitempty"`

	// The user who changed the template, or who requested this try, as the API server
	// knows the name; absent where that is not known.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ChangedBy *string `json:"changedBy,omitempty"`

	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`

	// Running, Succeeded, Failed, Stopped, RolledBack or Superseded.
	// +optional
	Outcome RolloutOutcome `json:"outcome,omitempty"`

	// Why it ended so.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// How many pods had all of the revision at the same time, at most; absent: not counted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pods *int32 `json:"pods,omitempty"`

	// How many pods failed; absent: not counted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedPods *int32 `json:"failedPods,omitempty"`

	// The bytes of the items that these pods received; what their nodes held already is
	// not counted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Bytes *int64 `json:"bytes,omitempty"`

	// The number of the step that it ended in, from 1; absent: it ended in none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	EndedStep *int32 `json:"endedStep,omitempty"`
}
