// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

const (
	// LabelDataSet names the DataSet that a Data or a ControllerRevision belongs to.
	LabelDataSet = "kuda.io/dataset"

	// LabelPod names the pod that a Data belongs to. A pod name longer than a
	// label value may be (63 characters) is cut and ends in a hash; the full
	// name is in Data.spec.podName.
	LabelPod = "kuda.io/pod"

	// LabelPodUID carries the UID of the pod that a Data belongs to.
	LabelPodUID = "kuda.io/pod-uid"

	// LabelInjection on a namespace says how Kuda treats the namespace's pods:
	// InjectionRequired or InjectionDisabled; without it pods that match a
	// DataSet are injected, and admitted unchanged while the webhook is away.
	// Any other value is read as InjectionRequired. On a pod InjectionDisabled opts
	// out, which has no effect in a namespace that requires injection, and
	// InjectionRequired refuses the pod as long as it would not have its data.
	LabelInjection = "kuda.io/injection"

	// InjectionRequired on a namespace refuses pods that a DataSet selects and that are
	// not injected, and all pods while the webhook cannot be reached. On a pod it refuses
	// that pod in the same cases, while no DataSet selects it, and while one that
	// AnnotationDataSets names is not there.
	InjectionRequired = "required"
	// InjectionDisabled leaves a namespace, or one pod, alone.
	InjectionDisabled = "disabled"

	// AnnotationInjected is set on injected pods; its value is the
	// comma-separated, sorted list of the DataSets that matched at admission.
	AnnotationInjected = "kuda.io/injected"

	// AnnotationNotInjected is set on pods that a DataSet selects and that were not
	// injected for a reason that the pod itself does not show, such as a LimitRange of
	// its namespace; its value is the reason.
	AnnotationNotInjected = "kuda.io/not-injected"

	// AnnotationStore is set on injected pods: StoreNode or StorePod.
	AnnotationStore = "kuda.io/store"

	// LabelStore on a pod, or on a namespace for its pods, is set by the user: StorePod
	// gives each pod a store of its own, where it would otherwise share the node's. A pod
	// with another value is not injected.
	LabelStore = "kuda.io/store"

	// StoreNode is the store shared by the pods of a namespace on a node (a volume of
	// kuda-node, or hostPath).
	StoreNode = "node"
	// StorePod is the store private to one pod (emptyDir).
	StorePod = "pod"

	// AnnotationPlacement is set on pods that were given preferences for nodes
	// that hold their data: "node=weight" of each, comma-separated. It tells those
	// terms of the pod's affinity from the pod's own.
	AnnotationPlacement = "kuda.io/placement"

	// AnnotationStartAfter is set by the user on a pod (template): the sidecars,
	// comma-separated, that are to run before Kuda's runtime starts, such as one through
	// which the sources are reached. Without it the runtime is the first init container.
	AnnotationStartAfter = "kuda.io/start-after"

	// AnnotationDataSets is set by the user on a pod (template): the DataSets of its
	// namespace, comma-separated, without which the pod must not be created. Until they
	// are there and select the pod it is refused, and its controller tries again.
	// With the label LabelInjection=InjectionRequired on the pod that also holds while
	// the webhook cannot be reached.
	AnnotationDataSets = "kuda.io/datasets"

	// LabelPreheat marks the pods that Kuda makes for spec.preheat, and their
	// Data; its value is the DataSet's name. Such a pod belongs to that DataSet
	// whatever its selector says, and is no replica of it.
	LabelPreheat = "kuda.io/preheat"

	// AnnotationChangeCause is set by the user on a DataSet and copied to the
	// revision it leads to (the convention of kubectl rollout history).
	AnnotationChangeCause = "kubernetes.io/change-cause"

	// AnnotationRolloutRequest on a DataSet asks something of the rollout that
	// runs: "<verb> <revision> <token>", where verb is one of the requests below,
	// revision is the update revision it is about, and token makes the request
	// differ from an earlier one. Each is honoured once; the annotation stays.
	AnnotationRolloutRequest = "kuda.io/rollout-request"

	// RequestPromote ends the step that is being taken.
	RequestPromote = "promote"
	// RequestPromoteFull ends all steps.
	RequestPromoteFull = "promote-full"
	// RequestAbort moves the touched pods back to the stable revision.
	RequestAbort = "abort"
	// RequestRetry tries a stopped or rolled back revision again, and at once every item
	// that failed, in pods that do not go back for that and in preheating.
	RequestRetry = "retry"

	// AnnotationChangedBy on a DataSet is the name of the user who changed spec last,
	// as the API server knows it. Kuda's webhook writes it, and AnnotationChangedGeneration
	// with it; what others write there is not kept.
	AnnotationChangedBy = "kuda.io/changed-by"
	// AnnotationChangedGeneration is the metadata.generation to which AnnotationChangedBy
	// belongs. If the DataSet has another one, spec was changed while the webhook could
	// not be reached, and nothing says by whom.
	AnnotationChangedGeneration = "kuda.io/changed-generation"
	// AnnotationRequestedBy on a DataSet is the name of the user who set
	// AnnotationRolloutRequest. Kuda's webhook writes it, and AnnotationRequestedFor with
	// it; what others write there is not kept.
	AnnotationRequestedBy = "kuda.io/requested-by"
	// AnnotationRequestedFor is the request to which AnnotationRequestedBy belongs. If
	// AnnotationRolloutRequest is another one, nothing says who set it.
	AnnotationRequestedFor = "kuda.io/requested-for"

	// AnnotationAllowDeletion is "true" on a CustomResourceDefinition of Kuda of which the
	// policy kuda-crd-deletion admits the deletion, and with it that of every object of the kind.
	AnnotationAllowDeletion = "kuda.io/allow-deletion"
	// FinalizerGuard keeps the policy kuda-crd-deletion, and its binding, in force when they
	// are deleted together with the definitions that they guard.
	FinalizerGuard = "kuda.io/guards-crds"

	// FinalizerWithdraw keeps a DataSet with deletionPolicy Remove until its
	// items are out of every pod's view.
	FinalizerWithdraw = "kuda.io/withdraw"
)
