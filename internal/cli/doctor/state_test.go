// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// quotaMessage is what the manager says when a quota refuses a Data.
const quotaMessage = `pod web-1: creating Data models-web-1: datas.data.kuda.io is forbidden: exceeded quota: q`

var deliveredCondition = condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "1/1 pods have their data")

// stateCase is a state of a cluster, and what the doctor says about it.
type stateCase struct {
	objects []client.Object
	want    []string
	without string
	code    int
}

// podWithCondition returns a pod whose Data has a condition Ready.
func podWithCondition(status, reason, message string) []client.Object {
	return []client.Object{
		dataSet("shop", "models", deliveredCondition), podOf("web-1", time.Hour, nil),
		data("models", "web-1", condition(v1alpha1.ConditionReady, status, reason, message)),
	}
}

// uninjectedPod returns a pod without the runtime, changed.
func uninjectedPod(change func(*corev1.Pod)) []client.Object {
	return []client.Object{dataSet("shop", "models", deliveredCondition), podOf("web-1", time.Minute, func(p *corev1.Pod) {
		stripped(p)
		p.Spec.Containers = []corev1.Container{{Name: "main"}}
		change(p)
	})}
}

// changedDataSet returns a DataSet, changed, whose pod has its data.
func changedDataSet(change func(*v1alpha1.DataSet)) []client.Object {
	d := dataSet("shop", "models", deliveredCondition)
	change(d)
	return []client.Object{d, podOf("web-1", time.Hour, nil), data("models", "web-1", deliveredCondition)}
}

// deliveredPod returns a pod that has its data, changed, and other objects.
func deliveredPod(change func(*corev1.Pod), others ...client.Object) []client.Object {
	return append([]client.Object{dataSet("shop", "models", deliveredCondition), data("models", "web-1", deliveredCondition),
		podOf("web-1", time.Hour, func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Name: "main"}}
			p.Spec.InitContainers[0].Env = []corev1.EnvVar{{Name: sidecar.EnvServerPort, Value: "8888"}}
			change(p)
		})}, others...)
}

// runtimeStatus gives a pod the status of its runtime.
func runtimeStatus(s corev1.ContainerStatus) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		s.Name = sidecar.ContainerName
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{s}
	}
}

// crashLoop is the status of a container that ended with a message.
func crashLoop(message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "main", RestartCount: 4,
		State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: message}}}
}

// refusedPods is the event of a workload whose pods the API server refuses.
func refusedPods(kind, message string, age time.Duration) *corev1.Event {
	return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: kind}, Reason: failedCreate, Message: message,
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "shop", Name: "web"}, LastTimestamp: metav1.NewTime(now.Add(-age))}
}

func templateOf(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}}}
}

// leavingData is the Data of a pod that is gone, asked to take the items out.
func leavingData() *v1alpha1.Data {
	d := data("models", "gone", deliveredCondition)
	d.Spec.Withdraw = true
	return d
}

// checkStates runs the doctor on each state.
func checkStates(t *testing.T, cases map[string]stateCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := cluster{objects: c.objects}.run(t, "models", "-n", "shop")
			clitest.WantExit(t, err, c.code)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if c.without != "" && strings.Contains(out, c.without) {
				t.Errorf("%q in\n%s", c.without, out)
			}
		})
	}
}

// Each state that keeps pods from their data is found, with what to do about it.
func TestDoctorFindsWhatKeepsPodsFromTheirData(t *testing.T) {
	checkStates(t, map[string]stateCase{
		"hostNetwork": {uninjectedPod(func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
			[]string{"hostNetwork", "does not help"}, "delete it and create it again", frame.ExitNegative},
		"a name clash": {uninjectedPod(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName}}
		}), []string{"choose another name", "does not help"}, "delete it and create it again", frame.ExitNegative},
		"a mount of its own": {uninjectedPod(func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/kuda/data"}}
		}), []string{"mounts volume v", "does not help"}, "delete it and create it again", frame.ExitNegative},
		"a missed webhook": {uninjectedPod(func(*corev1.Pod) {}),
			[]string{"could not be reached", "delete it and create it again"}, "does not help", frame.ExitNegative},
		"a refused write": {append(changedDataSet(func(d *v1alpha1.DataSet) {
			d.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonWriteRefused,
				quotaMessage)}
		}), podOf("web-2", time.Hour, nil)),
			[]string{"exceeded quota: q", "kubectl describe resourcequota -n shop", "Pod shop/web-2: has the runtime and no Data"}, "",
			frame.ExitNegative},
		"a silent runtime": {podWithCondition("Unknown", v1alpha1.ReasonRuntimeNotConnected,
			"the pod's runtime has not acknowledged revision models-2"),
			[]string{"has not acknowledged", "no longer does", "kubectl logs web-1 -n shop -c kuda-runtime"}, "", frame.ExitNegative},
		"a runtime that hangs": {podWithCondition("Unknown", v1alpha1.ReasonRuntimeNotConnected,
			"the gateway has not heard the pod's runtime for more than 15s: it hangs, or is cut off"),
			[]string{"it hangs, or is cut off", "kubectl logs web-1 -n shop -c kuda-runtime"}, "", frame.ExitNegative},
		"a pod without a node": {podWithCondition("False", v1alpha1.ReasonRuntimeNotConnected,
			`the pod has no node yet, so its runtime does not run: persistentvolumeclaim "dsk" not found`),
			[]string{`persistentvolumeclaim "dsk" not found`, "kubectl describe pod web-1 -n shop"}, "", frame.ExitNegative},
		"a pod that leaves": {[]client.Object{dataSet("shop", "models", deliveredCondition), leavingData()},
			[]string{"pod gone is asked to take the items out", "kubectl delete pod gone -n shop", `"deletionPolicy":"Retain"`}, "", frame.ExitDone},
		"one place": {podWithCondition("False", v1alpha1.ReasonPathConflict,
			`"conf" conflicts with "conf" of DataSet zz, which was created first and has the place in every pod`),
			[]string{"of DataSet zz", "created first", "another localPath"}, "", frame.ExitNegative},
		"too large": {changedDataSet(func(d *v1alpha1.DataSet) {
			d.Spec.Template.DataItems = []v1alpha1.DataItem{{Include: []string{strings.Repeat("a", 1<<20)}}}
		}), []string{"bytes as JSON, more than 1048576", "split the items"}, "", frame.ExitNegative},
		"a Secret of another name": {podWithCondition("False", v1alpha1.ReasonCredentialsMissing,
			`Secret "new" is not mounted into this pod: restart the pod's workload`),
			[]string{"is not mounted into this pod", "kubectl rollout restart"}, "", frame.ExitNegative},
		"a mistyped claim": {changedDataSet(func(d *v1alpha1.DataSet) {
			d.Spec.Template.DataSources.PVC = &v1alpha1.PVCDataSource{ClaimName: "dsk"}
		}), []string{"PersistentVolumeClaim shop/dsk: is not there", "correct claimName"}, "CredentialsMissing", frame.ExitNegative},
		"a mount above": {uninjectedPod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/kuda", ReadOnly: true}}
		}), []string{"no directory can be made there", "does not help"}, "delete it and create it again", frame.ExitNegative},
	})
}

// Copies, limits and quotas are told apart.
func TestDoctorFindsPodsThatAreNotCreatedAsTheyShouldBe(t *testing.T) {
	checkStates(t, map[string]stateCase{
		"a copy": {deliveredPod(func(p *corev1.Pod) { p.Annotations = nil }),
			[]string{"as copies of injected pods do", "delete the copy"}, "could not be reached", frame.ExitNegative},
		"a LimitRange": {uninjectedPod(func(p *corev1.Pod) {
			p.Annotations = map[string]string{v1alpha1.AnnotationNotInjected: "LimitRange small allows a container 32Mi of memory"}
		}), []string{"not injected when it was created: LimitRange small", "remove that cause"}, "could not be reached", frame.ExitNegative},
		"pods that a quota refuses": {deliveredPod(func(*corev1.Pod) {}, refusedPods("ReplicaSet", "exceeded quota: memory", time.Minute),
			&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
				Spec: appsv1.ReplicaSetSpec{Template: templateOf("models")}}),
			[]string{"ReplicaSet shop/web: cannot create its pods (1m0s ago): exceeded quota: memory", "runtimeResources"}, "", frame.ExitNegative},
		"pods that were refused": {deliveredPod(func(*corev1.Pod) {}, refusedPods("ReplicaSet", "exceeded quota: memory", time.Minute),
			&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
				Spec:   appsv1.ReplicaSetSpec{Template: templateOf("models")},
				Status: appsv1.ReplicaSetStatus{Replicas: 1}}),
			[]string{"0 problems, 0 warnings"}, "exceeded", frame.ExitDone},
		"other pods that are refused": {deliveredPod(func(*corev1.Pod) {}, refusedPods("Job", "exceeded quota: memory", time.Minute),
			&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: batchv1.JobSpec{Template: templateOf("other")}}),
			[]string{"0 problems, 0 warnings"}, "exceeded", frame.ExitDone},
	})
}

// A runtime or an application that does not run is found, with the cause.
func TestDoctorFindsWhatKeepsContainersFromRunning(t *testing.T) {
	checkStates(t, map[string]stateCase{
		"an image that is not there": {deliveredPod(runtimeStatus(corev1.ContainerStatus{Image: "kuda-runtime:v9", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}}})),
			[]string{"kuda-runtime:v9: ImagePullBackOff: not found", "runtimeImagePullSecrets", "kubectl describe pod web-1 -n shop"}, "",
			frame.ExitNegative},
		"a pull secret that is not there": {deliveredPod(func(p *corev1.Pod) {
			p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "key"}}
		}),
			[]string{"Secret shop/key: is not there", "kubectl create secret docker-registry key -n shop"}, "", frame.ExitDone},
		"a sandbox that fails": {podWithCondition("False", v1alpha1.ReasonRuntimeNotConnected,
			"the pod's runtime has not started: its volumes, sandbox or image are not there"),
			[]string{"sandbox", "kubectl describe pod web-1 -n shop"}, "", frame.ExitNegative},
		"a runtime that dies": {deliveredPod(runtimeStatus(crashLoop("panic: index out of range"))),
			[]string{"ends again and again", "kubectl logs web-1 -n shop -c kuda-runtime --previous"}, "cannot listen", frame.ExitNegative},
		"a port that another container has": {
			deliveredPod(runtimeStatus(crashLoop("opening the local API: listen tcp :8888: bind: address already in use"))),
			[]string{"cannot listen on port 8888", "declare port 8888 as a containerPort"}, "ends again and again", frame.ExitNegative},
		"a port that the runtime has": {deliveredPod(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{crashLoop("bind() to 0.0.0.0:8888 failed (98: Address already in use)")}
		}), []string{"container main ends again and again, with exit code 1: port 8888 is in use", "declare port 8888"}, "its own log explains",
			frame.ExitNegative},
		"a port that another process has": {deliveredPod(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{crashLoop("bind() to 0.0.0.0:80 failed (98: Address already in use)")}
		}), []string{"container main ends again and again, with exit code 1", "kubectl logs web-1 -n shop -c main --previous"},
			"port 8888 is in use\n", frame.ExitDone},
		"a port that is declared": {deliveredPod(func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8888}}
		}),
			[]string{"container main declares port 8888, on which Kuda's runtime listens", "create the pod again"}, "", frame.ExitNegative},
		"a mode that is not the application's": {append(deliveredPod(func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000))}
		})[1:],
			changedDataSet(func(d *v1alpha1.DataSet) {
				d.Spec.Template.DataItems = []v1alpha1.DataItem{{Namespace: "conf", Name: "key", Mode: new(int32(0o600))}}
			})[0]),
			[]string{"container main (user 1000) cannot read item conf/key", "such as 0644"}, "", frame.ExitDone},
		"a sidecar that is not there": {deliveredPod(func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationStartAfter] = "istio-proxy" }),
			[]string{"kuda.io/start-after names istio-proxy", "correct the name"}, "", frame.ExitDone},
		"a source behind a later sidecar": {append(deliveredPod(func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Spec.InitContainers = append(p.Spec.InitContainers,
				corev1.Container{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)})
		})[1:], changedDataSet(func(d *v1alpha1.DataSet) {
			d.Spec.Template.DataSources.S3 = &v1alpha1.S3DataSource{Endpoint: "http://127.0.0.1:19000"}
		})[0]), []string{"its source is http://127.0.0.1:19000 in the pod itself, and proxy starts after the runtime",
			"kuda.io/start-after: proxy"}, "", frame.ExitNegative},
		"nothing": {changedDataSet(func(*v1alpha1.DataSet) {}), []string{"0 problems, 0 warnings"}, "", frame.ExitDone},
	})
}
