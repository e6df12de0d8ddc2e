// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types.
const (
	// ConditionReady on a DataSet: every matching pod has what the spec asks for, as
	// far as partition or OnDelete let it, and nothing is under way; on a Data: this
	// pod has every item of its revision.
	ConditionReady = "Ready"

	// ConditionProgressing on a DataSet: Data are on their way to the update
	// revision, or cannot get there (status False, with the reason).
	ConditionProgressing = "Progressing"

	// ConditionReconciling on a DataSet: the spec is not carried out yet; the manager or
	// the pods are on their way to it, or it waits for a user. False: it is over, be it
	// done or Stalled.
	ConditionReconciling = "Reconciling"

	// ConditionStalled on a DataSet: the spec is not carried out and will not be without
	// help. It is never True together with Reconciling.
	ConditionStalled = "Stalled"

	// ConditionInjected on a DataSet: every matching pod carries the runtime.
	ConditionInjected = "Injected"

	// ConditionSourceDrifted on a DataSet: pods of the same revision hold
	// different bytes for an item, so the source changed under a fixed version.
	ConditionSourceDrifted = "SourceDrifted"

	// ConditionRolledBack on a DataSet: the update revision failed or was
	// aborted, and the pods that had it are on the stable revision again, or on
	// their way there. The spec still asks for the failed revision.
	ConditionRolledBack = "RolledBack"

	// ConditionPreheated on a DataSet with spec.preheat: every node that is to
	// have the data has it.
	ConditionPreheated = "Preheated"

	// ConditionCredentialsAvailable on a Data: the Secrets and ConfigMaps that its
	// sources name are mounted into the pod's runtime with the keys that are named; on
	// a DataSet: so it is in every pod. It is absent where the sources name none, or
	// where no runtime has told. It says nothing of whether the data is there.
	ConditionCredentialsAvailable = "CredentialsAvailable"

	// ConditionCacheDegraded on a Data: the cache in front of a source did not serve
	// what it was to serve of an item, or does not hold all that it was filled with.
	// The item's cache and cacheFill have the figures. On a DataSet: so it is in at
	// least one pod. It is absent where no source has a cache.
	ConditionCacheDegraded = "CacheDegraded"
)

// Reasons of a DataSet's conditions.
const (
	// ReasonDelivered (Ready, Progressing): all pods have the update revision.
	ReasonDelivered = "Delivered"
	// ReasonDelivering (Ready, Progressing): some pods do not have their revision yet.
	ReasonDelivering = "Delivering"
	// ReasonDeliveryFailed (Ready, Progressing): at least one pod's item failed;
	// the message repeats the first failure.
	ReasonDeliveryFailed = "DeliveryFailed"
	// ReasonNoPods (Ready, Progressing): no pod matches spec.workloadSelector, so there is
	// nothing to deliver.
	ReasonNoPods = "NoPods"
	// ReasonPaused (Progressing): spec.paused holds the rollout.
	ReasonPaused = "Paused"
	// ReasonHeldBack (Progressing): the rollout went as far as it may; the
	// partition, or strategy OnDelete, keeps the other pods where they are.
	ReasonHeldBack = "HeldBack"
	// ReasonPrefetching (Progressing): the revision is downloaded to the nodes
	// before the first pod is moved.
	ReasonPrefetching = "Prefetching"
	// ReasonStepPaused (Progressing): a pause of spec.updateStrategy.steps.
	ReasonStepPaused = "StepPaused"
	// ReasonAnalyzing (Progressing): an analysis step takes its measurements.
	ReasonAnalyzing = "Analyzing"
	// ReasonPodsFailed (Progressing, RolledBack): as many moved pods failed as
	// spec.failureThreshold says.
	ReasonPodsFailed = "PodsFailed"
	// ReasonAnalysisFailed (Progressing, RolledBack): more measurements failed
	// than the analysis step bears.
	ReasonAnalysisFailed = "AnalysisFailed"
	// ReasonPrefetchFailed (Progressing, RolledBack): the revision could not be
	// downloaded to the node of a pod.
	ReasonPrefetchFailed = "PrefetchFailed"
	// ReasonProgressDeadlineExceeded (Progressing, RolledBack): no pod came
	// further for spec.progressDeadlineSeconds.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	// ReasonRetrying (Progressing): retry was requested; the pods that failed go
	// back to the stable revision before the revision is tried again.
	ReasonRetrying = "Retrying"
	// ReasonAborted (Progressing, RolledBack): abort was requested.
	ReasonAborted = "Aborted"
	// ReasonSettled (Reconciling, status False): nothing is under way.
	ReasonSettled = "Settled"
	// ReasonNotStalled (Stalled, status False): nothing needs help.
	ReasonNotStalled = "NotStalled"
	// ReasonNotRolledBack (RolledBack, status False): the update revision did not fail.
	ReasonNotRolledBack = "NotRolledBack"
	// ReasonWriteRefused (Ready, Progressing): the API server, a quota, a policy or a
	// webhook refused a write of the manager; the message names the pod, the object
	// and who refused it.
	ReasonWriteRefused = "WriteRefused"
	// ReasonWithdrawing (Ready): the DataSet is being deleted with
	// deletionPolicy Remove and pods still hold its items.
	ReasonWithdrawing = "Withdrawing"
	// ReasonAllInjected (Injected): every matching pod carries the runtime.
	ReasonAllInjected = "AllInjected"
	// ReasonPodsNotInjected (Ready, Injected, Preheated): pods lack the runtime; the message says
	// why, pod by pod, and what to do.
	ReasonPodsNotInjected = "PodsNotInjected"
	// ReasonPreheated (Preheated): every node that is to have the data has it.
	ReasonPreheated = "Preheated"
	// ReasonPreheating (Preheated): nodes are on their way to it.
	ReasonPreheating = "Preheating"
	// ReasonPreheatFailed (Preheated): at least one node failed; it is tried again.
	ReasonPreheatFailed = "PreheatFailed"
	// ReasonNoNodes (Preheated): no node has the labels of spec.preheat.nodeSelector.
	ReasonNoNodes = "NoNodes"
	// ReasonInvalidSchedule (Preheated): spec.preheat.schedule is no cron expression.
	ReasonInvalidSchedule = "InvalidSchedule"
	// ReasonForbidden (Preheated): the manager may not make pods in the namespace.
	ReasonForbidden = "Forbidden"
	// ReasonNoNodeStore (Preheated): pods of the namespace have stores of their
	// own, which go with them, so nothing can be put onto a node for later.
	ReasonNoNodeStore = "NoNodeStore"
	// ReasonPreheatOff (Preheated): the installation does not preheat.
	ReasonPreheatOff = "PreheatOff"
	// ReasonInSync (SourceDrifted, status False): one digest per item and revision.
	ReasonInSync = "InSync"
	// ReasonDigestsDiffer (SourceDrifted, status True): more than one digest.
	ReasonDigestsDiffer = "DigestsDiffer"
	// ReasonCredentialsFound (CredentialsAvailable): everything that the sources name is
	// mounted. The status False has the reason CredentialsMissing.
	ReasonCredentialsFound = "CredentialsFound"
	// ReasonCacheServing (CacheDegraded, status False): the cache served what it was to.
	ReasonCacheServing = "CacheServing"
	// ReasonCacheUnprovable (CacheDegraded): the source has no checksum of a file that its
	// bytes can be compared with.
	ReasonCacheUnprovable = "Unprovable"
	// ReasonCacheStale (CacheDegraded): the cache has another state of a file.
	ReasonCacheStale = "CacheStale"
	// ReasonCacheMissing (CacheDegraded): the cache does not know a file.
	ReasonCacheMissing = "CacheMissing"
	// ReasonCacheFailed (CacheDegraded): the cache does not answer, or stopped in the
	// middle of a file.
	ReasonCacheFailed = "CacheFailed"
	// ReasonCacheAvoided (CacheDegraded): the cache failed several times in a row and is
	// not asked for a while.
	ReasonCacheAvoided = "CacheAvoided"
	// ReasonCacheMisconfigured (CacheDegraded): the cache has something else at the path,
	// or refuses to serve it.
	ReasonCacheMisconfigured = "CacheMisconfigured"
	// ReasonCacheIncomplete (CacheDegraded): the cache was filled and does not hold
	// all of a file.
	ReasonCacheIncomplete = "CacheIncomplete"
	// ReasonCacheRejected (CacheDegraded): the bytes of the cache were not those that the
	// source promised.
	ReasonCacheRejected = "CacheRejected"
)

// Reasons of a Data's Ready condition that concern the pod as a whole. Where a
// single item holds it back, the condition carries that item's reason.
const (
	// ReasonRuntimeNotConnected: the runtime has not reached the gateway.
	ReasonRuntimeNotConnected = "RuntimeNotConnected"
	// ReasonAuthorityChanged: the pod was given the certificate authority of an
	// earlier installation of Kuda, so its runtime does not trust this one's gateway.
	ReasonAuthorityChanged = "AuthorityChanged"
	// ReasonWithdrawn: the items were taken out of the view.
	ReasonWithdrawn = "Withdrawn"
)

// Reasons of one item (Data.status.dataItemsStatus[].reason).
const (
	// ReasonWaiting: the item's turn has not come.
	ReasonWaiting = "Waiting"
	// ReasonDownloading: bytes are on their way.
	ReasonDownloading = "Downloading"
	// ReasonSharedDownload: another pod of the node downloads the same snapshot;
	// this one waits for it.
	ReasonSharedDownload = "SharedDownload"
	// ReasonHookPending: the data is in the view; a hook waits for its container
	// to run, or is running.
	ReasonHookPending = "HookPending"
	// ReasonNotFound: nothing is stored at remotePath.
	ReasonNotFound = "NotFound"
	// ReasonAccessDenied: the source refused the credentials.
	ReasonAccessDenied = "AccessDenied"
	// ReasonCredentialsMissing (CredentialsAvailable, status False): the Secret or
	// ConfigMap that the source names is not there, lacks a key, or was not mounted into
	// this pod; the message says which. Items have it, too.
	ReasonCredentialsMissing = "CredentialsMissing"
	// ReasonSourceUnreachable: the source does not answer.
	ReasonSourceUnreachable = "SourceUnreachable"
	// ReasonThrottled: the source asked to slow down.
	ReasonThrottled = "Throttled"
	// ReasonSourceChanged: the source changed while it was read.
	ReasonSourceChanged = "SourceChanged"
	// ReasonSourceUnsupported: this runtime has no driver for dataSourceType.
	ReasonSourceUnsupported = "SourceUnsupported"
	// ReasonSourceMisconfigured: the source's settings contradict themselves or lack something.
	ReasonSourceMisconfigured = "SourceMisconfigured"
	// ReasonDigestMismatch: the bytes are not those that spec digest, or the
	// source's own checksum, promises.
	ReasonDigestMismatch = "DigestMismatch"
	// ReasonInsufficientSpace: the store has no room for the item.
	ReasonInsufficientSpace = "InsufficientSpace"
	// ReasonInvalidPath: a remote name would leave the item's directory, or
	// cannot be a file name here.
	ReasonInvalidPath = "InvalidPath"
	// ReasonPathConflict: two items want the same place in the view.
	ReasonPathConflict = "PathConflict"
	// ReasonHookFailed: a lifecycle hook failed; the message ends with its output.
	ReasonHookFailed = "HookFailed"
	// ReasonStoreFailed: reading or writing the store failed.
	ReasonStoreFailed = "StoreFailed"
)

// Reasons of events.
const (
	// EventSnapshotDamaged (NodeStore): a keeper found that a snapshot on the node's disk is
	// not what was delivered. It was removed, or is delivered again.
	EventSnapshotDamaged = "SnapshotDamaged"
	// EventRevisionCreated (DataSet): the template changed.
	EventRevisionCreated = "RevisionCreated"
	// EventDelivered (DataSet): all pods have the update revision.
	EventDelivered = "Delivered"
	// EventRolloutStarted (DataSet): pods begin to be moved to a revision.
	EventRolloutStarted = "RolloutStarted"
	// EventRolloutStep (DataSet): a step began.
	EventRolloutStep = "RolloutStep"
	// EventRolloutStopped (DataSet): the rollout failed and is held (failurePolicy Pause).
	EventRolloutStopped = "RolloutStopped"
	// EventRollingBack (DataSet): the rollout failed or was aborted; pods return.
	EventRollingBack = "RollingBack"
	// EventRolledBack (DataSet): every touched pod is back.
	EventRolledBack = "RolledBack"
	// EventRolloutCompleted (DataSet): every pod has the revision.
	EventRolloutCompleted = "RolloutCompleted"
	// EventPodFailed (DataSet): a moved pod failed.
	EventPodFailed = "MovedPodFailed"
	// EventPreheated (DataSet): every node that is to have the data has it.
	EventPreheated = "Preheated"
	// EventPreheatFailed (DataSet): a node failed.
	EventPreheatFailed = "PreheatFailed"
	// EventStoreRemoved (NodeStore): what a namespace that is gone left on the node is removed.
	EventStoreRemoved = "StoreRemoved"
	// EventStoreNotRemoved (NodeStore): it could not be removed, and is tried again.
	EventStoreNotRemoved = "StoreNotRemoved"
	// EventWriteRefused (DataSet): a write of the manager was refused.
	EventWriteRefused = "WriteRefused"
	// EventPodNotInjected (DataSet and Pod): a matching pod lacks the runtime.
	EventPodNotInjected = "PodNotInjected"
	// EventItemFailed (Data's pod): an item failed.
	EventItemFailed = "DataItemFailed"
	// EventItemsDelivered (Data's pod, or DataSet): the pod has every item of a revision; of
	// pods that get theirs within seconds of each other, the DataSet has one event.
	EventItemsDelivered = "DataDelivered"
)
