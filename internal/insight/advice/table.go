// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import "github.com/kuda-io/kuda/api/v1alpha1"

// Commands that several reasons share.
const (
	watchRollout = "kubectl kuda status {dataset} -n {namespace} --watch"
	showRollout  = "kubectl kuda status {dataset} -n {namespace}"
	compare      = "kubectl kuda diff {dataset} -n {namespace}"
	goBack       = "kubectl kuda undo {dataset} -n {namespace}"
	tryAgain     = "kubectl kuda retry {dataset} -n {namespace}"
	giveUp       = "kubectl kuda abort {dataset} -n {namespace}"
	goOn         = "kubectl kuda promote {dataset} -n {namespace}"
	runtimeLog   = "kubectl logs {pod} -n {namespace} -c kuda-runtime"
	describePod  = "kubectl describe pod {pod} -n {namespace}"
	listPods     = "kubectl get pods -n {namespace} --show-labels"
	preheatPods  = "kubectl get pods -n {namespace} -l kuda.io/preheat={dataset} -o wide"
	showHolders  = "kubectl kuda nodes {dataset} -n {namespace}"
)

// What a rollout that failed leads to; both ways begin with the cause.
var (
	whenStopped = []string{
		showRollout,
		"correct the data, the hook or the application, and change the DataSet; or take the change back:", goBack,
		"or move the touched pods back and leave the spec:", giveUp,
		"or, when the cause is gone, try the same revision again:", tryAgain,
	}
	whenRolledBack = []string{
		showRollout,
		"the pods are on the stable revision, the spec still asks for the failed one: correct the cause and change the DataSet, or bring the " +
			"spec in line:", goBack,
		"or, when the cause is gone, try the same revision again:", tryAgain,
	}
)

// writeRefused is said of both conditions that show it.
var writeRefused = Advice{
	Severity: Problem, Why: "the API server, a quota, a policy or a webhook refused what kuda-manager has to write; the pods concerned " +
		"wait, the others go on",
	Do: []string{
		"see in the message what was refused and by whom; a quota is shown by:", "kubectl describe resourcequota -n {namespace}",
		"raise the quota, change the policy, or select fewer pods; the write is tried again within a minute",
	},
}

var table = map[key]Advice{
	{v1alpha1.ConditionReady, v1alpha1.ReasonDelivered}: {Severity: OK, Why: "all pods have the revision they are to have"},
	{v1alpha1.ConditionReady, v1alpha1.ReasonDelivering}: {
		Severity: OK, Why: "some pods do not have their revision yet; bytes or hooks are on their way", Do: []string{watchRollout},
	},
	{v1alpha1.ConditionReady, v1alpha1.ReasonDeliveryFailed}: {
		Severity: Problem, Why: "an item of at least one pod failed; the pods keep what they had, and it is tried again by itself " +
			"when that can help",
		Do: []string{showRollout, "remove the cause that the message names, or take the change back:", goBack},
	},
	{v1alpha1.ConditionReady, v1alpha1.ReasonNoPods}: {
		Severity: Warning, Why: "no running pod of the namespace carries all labels of spec.workloadSelector, or those that do " +
			"lack the runtime; " +
			"the selector is compared with the labels of pods, not of the Deployment",
		Do: []string{"kubectl get dataset {dataset} -n {namespace} -o jsonpath='{.spec.workloadSelector}'", listPods},
	},
	{v1alpha1.ConditionReady, v1alpha1.ReasonPodsNotInjected}: {
		Severity: Problem, Why: "pods lack the runtime and get no data; the condition Injected says why, pod by pod",
		Do: []string{"kubectl describe dataset {dataset} -n {namespace}", listPods},
	},
	{v1alpha1.ConditionReady, v1alpha1.ReasonWithdrawing}: {
		Severity: Warning, Why: "the DataSet is being deleted with deletionPolicy Remove, and pods still hold its items; a pod whose runtime " +
			"cannot answer holds it up",
		Do: []string{
			showRollout, "delete the pod that does not answer, or delete without waiting:",
			`kubectl patch dataset {dataset} -n {namespace} --type merge -p '{"spec":{"deletionPolicy":"Retain"}}'`,
		},
	},

	{v1alpha1.ConditionReady, v1alpha1.ReasonWriteRefused}:       writeRefused,
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonWriteRefused}: writeRefused,

	{v1alpha1.ConditionProgressing, v1alpha1.ReasonDelivered}: {Severity: OK,
		Why: "nothing is under way: all pods have the revision of the spec"},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonDelivering}: {Severity: OK, Why: "pods are on their way to the revision of the spec",
		Do: []string{watchRollout}},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonDeliveryFailed}: {
		Severity: Problem, Why: "a pod that is to have the new revision cannot get it, and holds the budget of maxUnavailable, so the others " +
			"wait with what they have",
		Do: []string{showRollout, compare, "remove the cause that the message names, or take the change back:", goBack},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonNoPods}: {
		Severity: Warning, Why: "there is no pod with the runtime to move", Do: []string{listPods},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonPaused}: {
		Severity: Warning, Why: "spec.paused holds the rollout; new pods get the stable revision",
		Do: []string{"kubectl kuda resume {dataset} -n {namespace}"},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonHeldBack}: {
		Severity: OK, Why: "the rollout went as far as the spec allows: partition, or strategy OnDelete, keeps the other pods where they are",
		Do: []string{
			"to go on, lower spec.updateStrategy.rollingUpdate.partition, or with OnDelete replace pods:",
			`kubectl patch dataset {dataset} -n {namespace} --type merge -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'`,
		},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonPrefetching}: {
		Severity: OK, Why: "the revision is downloaded to the nodes of all pods before the first of them is moved", Do: []string{watchRollout},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonStepPaused}: {
		Severity: OK, Why: "the rollout takes a pause that its steps ask for; without a duration it lasts until promote",
		Do: []string{"look at the moved pods, then go on:", goOn, "or go back:", giveUp},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonAnalyzing}: {
		Severity: OK, Why: "an analysis step takes its measurements and decides by them",
		Do: []string{watchRollout, "to go on without them:", goOn},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonRetrying}: {
		Severity: OK, Why: "retry was requested; the pods that failed go back to the stable revision before the revision is tried again",
		Do: []string{watchRollout},
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonPodsFailed}: {
		Severity: Problem, Why: "as many moved pods as failureThreshold says failed an item or a hook for good, turned unready or restarted " +
			"after the switch", Do: whenStopped,
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonAnalysisFailed}: {
		Severity: Problem, Why: "more measurements of an analysis step failed than failureLimit bears; one that could not be taken counts " +
			"as failed", Do: whenStopped,
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonPrefetchFailed}: {
		Severity: Problem, Why: "the revision could not be downloaded to the node of a pod; no pod was moved because of it", Do: whenStopped,
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonProgressDeadlineExceeded}: {
		Severity: Problem, Why: "no pod came further for progressDeadlineSeconds: a slow or unreachable source, a node without room, or pods " +
			"that do not get Ready", Do: whenStopped,
	},
	{v1alpha1.ConditionProgressing, v1alpha1.ReasonAborted}: {
		Severity: Warning, Why: "abort was requested; the revision is not tried again until the template changes or retry is requested",
		Do: whenRolledBack,
	},

	{v1alpha1.ConditionReconciling, v1alpha1.ReasonSettled}: {Severity: OK, Why: "nothing is under way"},
	{v1alpha1.ConditionStalled, v1alpha1.ReasonNotStalled}:  {Severity: OK, Why: "nothing needs help"},

	{v1alpha1.ConditionCredentialsAvailable, v1alpha1.ReasonCredentialsFound}: {Severity: OK, Why: "every pod has what its sources name"},
	{v1alpha1.ConditionCredentialsAvailable, v1alpha1.ReasonCredentialsMissing}: {
		Severity: Warning, Why: "pods that have their data keep it; the next download, in a new pod or of a new version, fails",
		Do: []string{"create or complete the Secret or ConfigMap that the message names:", "kubectl get secrets,configmaps -n {namespace}"},
	},

	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheServing}: {Severity: OK, Why: "the cache served what it was to serve"},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheUnprovable}: {
		Severity: Warning, Why: "the source has no checksum that bytes of the cache could be compared with, so files came from the source",
		Do: []string{"store the files with a checksum of the whole, or give the item a digest"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheStale}: {
		Severity: Warning, Why: "the cache has another state of files, so they came from the source",
		Do: []string{"load the files into the cache, or shorten the interval in which it looks at the source"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheMissing}: {
		Severity: Warning, Why: "the cache does not know files, so they came from the source",
		Do: []string{"check that the cache has the source mounted"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheMisconfigured}: {
		Severity: Warning, Why: "the cache has something else at the path, or refuses to serve it, so files came from the source",
		Do: []string{"correct the path of the cache, or the mount; the message has both names:", "kubectl edit dataset {dataset} -n {namespace}"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheFailed}: {
		Severity: Warning, Why: "the cache did not answer, or stopped in the middle, so files came from the source",
		Do: []string{"look at its servers, and at what lets the pods reach them"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheAvoided}: {
		Severity: Warning, Why: "the cache failed several times in a row and is left alone for some minutes; files come from the source",
		Do: []string{"look at its servers, and at what lets the pods reach them"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheIncomplete}: {
		Severity: Warning, Why: "the cache was filled and does not hold all of the files; what is missing comes from the source",
		Do: []string{"give the workers of the cache more room"},
	},
	{v1alpha1.ConditionCacheDegraded, v1alpha1.ReasonCacheRejected}: {
		Severity: Warning, Why: "the cache had wrong bytes under the right name; none of them was used, and the files came from the source",
		Do: []string{"have the cache drop the files, with Alluxio by 'alluxio fs free PATH': it does not notice by itself"},
	},

	{v1alpha1.ConditionRolledBack, v1alpha1.ReasonNotRolledBack}: {Severity: OK, Why: "the update revision did not fail"},
	{v1alpha1.ConditionRolledBack, v1alpha1.ReasonPodsFailed}: {
		Severity: Problem, Why: "as many moved pods as failureThreshold says failed, and failurePolicy Rollback moved them back",
		Do: whenRolledBack,
	},
	{v1alpha1.ConditionRolledBack, v1alpha1.ReasonAnalysisFailed}: {
		Severity: Problem, Why: "an analysis step failed, and failurePolicy Rollback moved the pods back", Do: whenRolledBack,
	},
	{v1alpha1.ConditionRolledBack, v1alpha1.ReasonPrefetchFailed}: {
		Severity: Problem, Why: "the revision could not be downloaded to the node of a pod, and failurePolicy Rollback gave it up",
		Do: whenRolledBack,
	},
	{v1alpha1.ConditionRolledBack, v1alpha1.ReasonProgressDeadlineExceeded}: {
		Severity: Problem, Why: "no pod came further for progressDeadlineSeconds, and failurePolicy Rollback moved the pods back",
		Do: whenRolledBack,
	},
	{v1alpha1.ConditionRolledBack, v1alpha1.ReasonAborted}: {
		Severity: Warning, Why: "abort was requested, and the pods that had moved went back", Do: whenRolledBack,
	},

	{v1alpha1.ConditionInjected, v1alpha1.ReasonAllInjected}: {Severity: OK, Why: "every matching pod carries the runtime"},
	{v1alpha1.ConditionInjected, v1alpha1.ReasonPodsNotInjected}: {
		Severity: Problem, Why: "the pods that the message names lack the runtime and get no data; the message says why, and whether " +
			"restarting them helps",
		Do: []string{
			"see the cause of each pod:", "kubectl kuda doctor {dataset} -n {namespace}",
			"to have such pods refused while the webhook is away:", "kubectl label namespace {namespace} kuda.io/injection=required",
		},
	},

	{v1alpha1.ConditionSourceDrifted, v1alpha1.ReasonInSync}: {Severity: OK, Why: "pods of one revision hold the same bytes"},
	{v1alpha1.ConditionSourceDrifted, v1alpha1.ReasonDigestsDiffer}: {
		Severity: Problem, Why: "something was written under an item's remotePath while its version stayed, so pods of one revision " +
			"hold different bytes",
		Do: []string{"store the wanted data at a path of its own and set the item's version; a digest in the item keeps it from coming again"},
	},

	{v1alpha1.ConditionPreheated, v1alpha1.ReasonPreheated}: {Severity: OK, Why: "every node that is to have the data has it"},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonPreheating}: {Severity: OK, Why: "nodes are on their way to the data",
		Do: []string{preheatPods, showHolders}},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonPreheatFailed}: {
		Severity: Problem, Why: "at least one node that spec.preheat asks for did not get the data; it is tried again by itself",
		Do: []string{
			"see which nodes failed and why, and the pods that Kuda made for it:", showRollout, preheatPods,
			"remove the cause that the message names, make room on the node, or leave the node out by spec.preheat.nodeSelector",
		},
	},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonNoNodes}: {
		Severity: Warning, Why: "no node, or fewer than spec.preheat.replicas asks for, has all labels of spec.preheat.nodeSelector and takes " +
			"pods: Ready, not cordoned, without a taint",
		Do: []string{"compare the labels of the nodes with the selector:", "kubectl get nodes --show-labels",
			"kubectl get dataset {dataset} -n {namespace} -o jsonpath='{.spec.preheat}'"},
	},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonInvalidSchedule}: {
		Severity: Problem, Why: "spec.preheat.schedule is no cron expression of five fields",
		Do: []string{`write it as "minute hour day-of-month month day-of-week", such as "0 3 * * *", in UTC:`,
			"kubectl edit dataset {dataset} -n {namespace}"},
	},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonForbidden}: {
		Severity: Problem, Why: "kuda-manager may not make pods in the namespace: its role for that was taken away, or a quota or a policy of " +
			"the namespace refuses them",
		Do: []string{
			"see the refusal in the message, and whether the manager has the right:",
			"kubectl auth can-i create pods -n {namespace} --as system:serviceaccount:kuda-system:kuda-manager",
			"grant it, change the policy, or take spec.preheat out of the DataSet",
		},
	},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonPodsNotInjected}: {
		Severity: Problem, Why: "the webhook did not put the runtime into the pods that Kuda made for it: it was away, or their " +
			"namespace is opted out",
		Do: []string{"see whether the webhook answers, and the namespace's label kuda.io/injection:", "kubectl kuda doctor",
			"kubectl get namespace {namespace} --show-labels"},
	},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonNoNodeStore}: {
		Severity: Warning, Why: "pods of the namespace have stores of their own, which go with them: the namespace enforces the Pod Security " +
			"level baseline or restricted, or storeMode is Pod",
		Do: []string{
			"see the level; a node store needs privileged, or none:", "kubectl get namespace {namespace} --show-labels",
			"else take spec.preheat out of the DataSet: it has nothing to fill",
		},
	},
	{v1alpha1.ConditionPreheated, v1alpha1.ReasonPreheatOff}: {
		Severity: Warning, Why: "the installation does not preheat: it is switched off in kuda-manager",
		Do: []string{"ask who runs the installation to switch it on, or take spec.preheat out of the DataSet"},
	},

	{v1alpha1.ConditionReady, v1alpha1.ReasonRuntimeNotConnected}: {
		Severity: Problem, Why: "the pod's runtime has not reached the gateway, or no longer does: its container does not run, the pod has no " +
			"node, its image cannot be pulled, a volume cannot be mounted, " +
			"or a NetworkPolicy or name resolution stands in the way of kuda-gateway.kuda-system:8443",
		Do: []string{describePod, runtimeLog, "kubectl kuda doctor"},
	},
	{v1alpha1.ConditionReady, v1alpha1.ReasonAuthorityChanged}: {
		Severity: Problem, Why: "the installation has a new certificate authority, such as after it was removed and installed again; the pod " +
			"trusts the one that it was made with, and a running pod cannot be given another. It keeps the data that it has, and gets no other",
		Do: []string{"restart the pods that were made before the installation; their controllers make them anew:",
			"kubectl delete pod {pod} -n {namespace}"},
	},
	{v1alpha1.ConditionReady, v1alpha1.ReasonWithdrawn}: {Severity: OK,
		Why: "the items were taken out of the pod's view, as deletionPolicy Remove asks"},

	{Item, v1alpha1.ReasonWaiting}: {
		Severity: OK, Why: "the item's turn has not come, or it waits for the other items of the DataSet: all switch together",
		Do: []string{watchRollout},
	},
	{Item, v1alpha1.ReasonDownloading}: {Severity: OK, Why: "bytes are on their way", Do: []string{watchRollout}},
	{Item, v1alpha1.ReasonSharedDownload}: {Severity: OK,
		Why: "another pod of the node downloads the same snapshot; this one takes over at once should it die"},
	{Item, v1alpha1.ReasonHookPending}: {
		Severity: OK, Why: "the data is in the view; a hook waits for its container to run and to listen, or is running",
		Do: []string{"when it lasts, see whether the container runs and listens on the hook's port:", describePod},
	},
	{Item, v1alpha1.ReasonNotFound}: {
		Severity: Problem, Why: "nothing is stored at the item's remotePath, or the bucket does not exist",
		Do: []string{"compare remotePath with what is stored, store it, or correct the DataSet; it is looked for again every few minutes, and " +
			"at once after a change", compare},
	},
	{Item, v1alpha1.ReasonAccessDenied}: {
		Severity: Problem, Why: "the source refused the credentials, or refuses anonymous requests",
		Do: []string{"check the keys in the Secret that the source names and that they may list and read; a corrected Secret is used as soon " +
			"as the kubelet has brought it into the pod, within about two minutes, without a restart; when the rights were corrected:", tryAgain},
	},
	{Item, v1alpha1.ReasonCredentialsMissing}: {
		Severity: Problem, Why: "the Secret or ConfigMap that the source names is not there, lacks a key, or was not mounted into this pod, " +
			"because the DataSet named it after the pod was created",
		Do: []string{
			"create or complete it in the pod's namespace:", "kubectl get secrets,configmaps -n {namespace}",
			"where it is complete, restart the pod's workload, because mounts are fixed at creation:",
			"kubectl rollout restart deployment/NAME -n {namespace}",
		},
	},
	{Item, v1alpha1.ReasonSourceUnreachable}: {
		Severity: Problem, Why: "the source does not answer: a name that cannot be resolved in the pod, a refused connection, a timeout, " +
			"errors of its own, or a NetworkPolicy",
		Do: []string{"see the address in the message, and the source; it is tried again within half a minute", runtimeLog,
			"kubectl get networkpolicies -n {namespace}"},
	},
	{Item, v1alpha1.ReasonThrottled}: {
		Severity: Warning, Why: "the source asked to slow down, and Kuda does", Do: []string{
			"if it lasts, set limits of the source or a smaller maxUnavailable in the DataSet, or raise what the source allows",
		},
	},
	{Item, v1alpha1.ReasonSourceChanged}: {
		Severity: Warning, Why: "the source was written to while it was read; nothing of the mixture is used, and the download " +
			"starts over by itself",
		Do: []string{"if it comes again, publish each version at a path of its own"},
	},
	{Item, v1alpha1.ReasonSourceUnsupported}: {
		Severity: Problem, Why: "the runtime of this pod has no driver for the item's dataSourceType, or is older than the DataSet",
		Do: []string{"use another dataSourceType; or, if this installation has the driver, restart the pod's workload to give it the " +
			"newer runtime:", "kubectl rollout restart deployment/NAME -n {namespace}"},
	},
	{Item, v1alpha1.ReasonSourceMisconfigured}: {
		Severity: Problem, Why: "the source's settings contradict themselves or the server; the message says which",
		Do: []string{"correct spec.template.dataSources:", "kubectl edit dataset {dataset} -n {namespace}"},
	},
	{Item, v1alpha1.ReasonDigestMismatch}: {
		Severity: Problem, Why: "the bytes are not those that the item's digest, or the source's own checksum, promises; nothing of " +
			"them is in the view",
		Do: []string{"store the right data again, or correct the item's digest; the message has both digests",
			"kubectl edit dataset {dataset} -n {namespace}"},
	},
	{Item, v1alpha1.ReasonInsufficientSpace}: {
		Severity: Problem, Why: "the store has no room on the pod's node, also after unused data was deleted",
		Do: []string{
			"see what takes the room:", "kubectl exec {pod} -n {namespace} -c kuda-runtime -- /kuda-runtime store list",
			"make room on the node's file system, raise the quota in the ConfigMap kuda-config, or move the pod to another node",
		},
	},
	{Item, v1alpha1.ReasonInvalidPath}: {
		Severity: Problem, Why: "a name on the source cannot be a file name below the item's directory; the message has it",
		Do: []string{"rename it on the source, or leave it out with exclude"},
	},
	{Item, v1alpha1.ReasonPathConflict}: {
		Severity: Problem, Why: "two items want the same place in the view; of two DataSets the one that was created first has it in every " +
			"pod; the message names both",
		Do: []string{"give one of them another localPath:", "kubectl edit dataset {dataset} -n {namespace}"},
	},
	{Item, v1alpha1.ReasonHookFailed}: {
		Severity: Problem, Why: "a lifecycle hook failed as often as it was tried; a running pod's view went back to the revision before",
		Do: []string{
			"see what the hook's command sees, and the end of its output in the message:",
			"kubectl exec {pod} -n {namespace} -c {container} -- ls -lR /kuda/data",
			"correct the hook or the data and change the DataSet, or take the change back:", goBack,
		},
	},
	{Item, v1alpha1.ReasonStoreFailed}: {
		Severity: Problem, Why: "reading or writing the store on the node failed: a read-only or damaged file system, or a directory whose " +
			"owner was changed by hand",
		Do: []string{"look at the node's store (/var/lib/kuda unless configured) and its kernel log; then let the runtime check what is there:",
			"kubectl exec {pod} -n {namespace} -c kuda-runtime -- /kuda-runtime store verify"},
	},
}
