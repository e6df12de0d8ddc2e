// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// The tests of this file are about pods of unusual shapes, each of which must get its
// data as any other, or say why it does not. They share a namespace and a DataSet where
// they can, and run beside each other.

// waitPodDelivered waits until a pod has all of a DataSet, whatever other pods have.
func waitPodDelivered(t *testing.T, p *corev1.Pod, dataset string) {
	t.Helper()
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		var list v1alpha1.DataList
		if err := kube.List(ctx, &list, client.InNamespace(p.Namespace), client.MatchingLabels{v1alpha1.LabelDataSet: dataset}); err != nil {
			return err
		}
		for i := range list.Items {
			d := &list.Items[i]
			if d.Spec.PodName != p.Name {
				continue
			}
			if !meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionReady) {
				return fmt.Errorf("pod %s: %+v", p.Name, d.Status)
			}
			return nil
		}
		return fmt.Errorf("pod %s has no Data", p.Name)
	})
}

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(value)
	}
	return list
}

// limited gives the application requests and limits.
func limited(p *corev1.Pod) {
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{
		Requests: quantities("cpu=10m", "memory=32Mi"), Limits: quantities("cpu=100m", "memory=64Mi"),
	}
}

func TestPodsOfEveryShapeGetTheirData(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "shapes/x.txt", []byte(delivered))
	create(t, dataSet(ns, "shapes", item("x", "shapes/x.txt", "v1")))
	for name, shape := range map[string]struct {
		change func(*corev1.Pod)
		// then is what is done to the pod that has its data.
		then func(t *testing.T, p *corev1.Pod)
	}{
		"generate-name": {func(p *corev1.Pod) { p.Name, p.GenerateName = "", "generated-" }, nil},
		"read-only-root": {func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr.To(true)}
		}, nil},
		"no-token": {func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = ptr.To(false) }, nil},
		"resized":  {limited, resize},
		"debugged": {func(*corev1.Pod) {}, debug},
		"copied":   {func(*corev1.Pod) {}, copyOf},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pod(ns, name, "shapes", "wait")
			shape.change(p)
			create(t, p)
			waitPodDelivered(t, p, "shapes")
			if got := reads(t, p, "x"); got != delivered {
				t.Errorf("the application reads %q", got)
			}
			if shape.then != nil {
				shape.then(t, p)
			}
			if err := kube.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
				t.Fatal(err)
			}
			if n := restarts([]corev1.Pod{*p}); n != 0 {
				t.Errorf("the application was restarted %d times", n)
			}
		})
	}
}

// resize gives application and runtime more CPU in place.
func resize(t *testing.T, p *corev1.Pod) {
	t.Helper()
	for list, name := range map[string]string{"containers": "app", "initContainers": sidecar.ContainerName} {
		patch := fmt.Sprintf(`{"spec":{%q:[{"name":%q,"resources":{"requests":{"cpu":"20m"}}}]}}`, list, name)
		kubectl(t, "-n", p.Namespace, "patch", "pod", p.Name, "--subresource", "resize", "-p", patch)
	}
	// Whether the node can do it is its own affair; the pod must live through it.
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if cpu := p.Spec.Containers[0].Resources.Requests.Cpu(); cpu.String() != "20m" || p.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("the pod is %s and requests %s", p.Status.Phase, cpu)
		}
		return nil
	})
	if got := reads(t, p, "x"); got != delivered {
		t.Errorf("after the resize the application reads %q", got)
	}
}

// debug adds an ephemeral container that sees the application's processes.
func debug(t *testing.T, p *corev1.Pod) {
	t.Helper()
	kubectl(t, "-n", p.Namespace, "debug", "pod/"+p.Name, "--image="+appImage, "--container=debugger", "--target=app",
		"--", "/e2e-app", "wait")
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		for _, s := range p.Status.EphemeralContainerStatuses {
			if s.Name == "debugger" && s.State.Running != nil {
				return nil
			}
		}
		return fmt.Errorf("ephemeral containers: %+v", p.Status.EphemeralContainerStatuses)
	})
}

// copyOf copies the pod as people do who debug it.
func copyOf(t *testing.T, p *corev1.Pod) {
	t.Helper()
	for name, c := range map[string]struct {
		flags []string
		data  bool
	}{
		"kept":    {[]string{"--keep-labels=true"}, true},
		"no-init": {[]string{"--keep-labels=true", "--keep-init-containers=false"}, true},
		"plain":   {nil, false},
	} {
		copied := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: "copy-" + name}}
		args := append([]string{"-n", p.Namespace, "debug", "pod/" + p.Name, "--copy-to=" + copied.Name, "--container=app",
			"--image=" + appImage}, c.flags...)
		out := kubectl(t, append(args, "--", "/e2e-app", "wait")...)
		kubectl(t, "-n", p.Namespace, "wait", "--for=jsonpath={.status.phase}=Running", "--timeout=90s", "pod/"+copied.Name)
		if err := kube.Get(t.Context(), client.ObjectKeyFromObject(copied), copied); err != nil {
			t.Fatal(err)
		}
		runtime := slices.ContainsFunc(copied.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
		if runtime != c.data {
			t.Errorf("%s: has the runtime: %t", name, runtime)
		}
		if warned := strings.Contains(out, "--keep-labels"); warned == c.data {
			t.Errorf("%s: kubectl says\n%s", name, out)
		}
		if !c.data {
			continue
		}
		waitPodDelivered(t, copied, "shapes")
		if got := reads(t, copied, "x"); got != delivered {
			t.Errorf("%s: the copy reads %q", name, got)
		}
	}
}

func TestAPodIsDeliveredUnderAQuota(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "shapes/quota.txt", []byte(delivered))
	create(t, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "all"}, Spec: corev1.ResourceQuotaSpec{
		Hard: quantities("requests.cpu=1", "requests.memory=1Gi", "limits.cpu=2", "limits.memory=1Gi", "pods=2",
			"requests.ephemeral-storage=10Gi"),
	}})
	ds := dataSet(ns, "quota", item("x", "shapes/quota.txt", "v1"))
	create(t, ds)
	p := pod(ns, "fits", "quota", "wait")
	limited(p)
	p.Spec.Containers[0].Resources.Requests[corev1.ResourceEphemeralStorage] = resource.MustParse("1Gi")
	// The quota's own controller may not have counted yet.
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		q := p.DeepCopy()
		if err := kube.Create(ctx, q); err != nil {
			return err
		}
		p = q
		return nil
	})
	waitDelivered(t, ds, 1, 2*time.Minute)
	if got := reads(t, p, "x"); got != delivered {
		t.Errorf("the application reads %q", got)
	}
	// A workload that is too large with the runtime is found by doctor.
	large := deployment(ns, "quota", 1, "wait")
	large.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{
		Requests: quantities("cpu=10m", "memory=32Mi", "ephemeral-storage=1Gi"), Limits: quantities("cpu=100m", "memory=900Mi"),
	}
	create(t, large)
	eventually(t, time.Minute, func(context.Context) error {
		if out, code := kudaStatus(t, "doctor", "quota", "-n", ns); code == 0 || !strings.Contains(out, "cannot create its pods") ||
			!strings.Contains(out, "exceeded quota") {
			return fmt.Errorf("doctor ended with %d and said:\n%s", code, out)
		}
		return nil
	})
}

func TestAPodIsDeliveredUnderTheBaselineLevel(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"})
	store.put(t, "shapes/baseline.txt", []byte(delivered))
	ds := dataSet(ns, "baseline", item("x", "shapes/baseline.txt", "v1"))
	create(t, ds)
	p := pod(ns, "baseline", "baseline", "wait")
	create(t, p)
	waitDelivered(t, ds, 1, 2*time.Minute)
	if got := reads(t, p, "x"); got != delivered || p.Annotations[v1alpha1.AnnotationStore] != restrictedStore {
		t.Errorf("the application reads %q from the store %q", got, p.Annotations[v1alpha1.AnnotationStore])
	}
}

// A pod with a user namespace of its own gets its data where nodes run such pods at
// all. Where they do not, it delays no other pod.
func TestPodWithItsOwnUserNamespaceIsDeliveredOrDelaysNoOtherPod(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "shapes/users.txt", []byte(delivered))
	ds := dataSet(ns, "users", item("x", "shapes/users.txt", "v1"))
	create(t, ds)
	apart := func(name, app string, change func(*corev1.Pod)) *corev1.Pod {
		p := pod(ns, name, app, "wait")
		p.Spec.HostUsers = ptr.To(false)
		change(p)
		create(t, p)
		return p
	}
	// It has a directory of the file system that stores are on.
	plain := apart("plain", "none", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{
			Path: storesDirectory, Type: ptr.To(corev1.HostPathDirectoryOrCreate)}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "host", MountPath: "/host"}}
	})
	runs := false
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(plain), plain); err != nil {
			return err
		}
		if runs = plain.Status.Phase == corev1.PodRunning; runs || failsToStart(ctx, plain) {
			return nil
		}
		return fmt.Errorf("the pod is %s", plain.Status.Phase)
	})
	p := apart("users", "users", func(*corev1.Pod) {})
	if runs {
		waitDelivered(t, ds, 1, 2*time.Minute)
		if got := reads(t, p, "x"); got != delivered {
			t.Errorf("the application reads %q", got)
		}
		return
	}
	t.Log("the nodes run no pods with user namespaces of their own")
	other := pod(ns, "other", "users", "wait")
	create(t, other)
	waitPodDelivered(t, other, "users")
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(ds.Status.Conditions, v1alpha1.ConditionReady)
		if ds.Status.Success != 1 || ready == nil || ready.Status == metav1.ConditionTrue || !strings.Contains(ready.Message, "pod "+p.Name) {
			return fmt.Errorf("%d pods have their data, %+v", ds.Status.Success, ready)
		}
		return nil
	})
}

// failsToStart reports whether the kubelet said that it cannot start a pod.
func failsToStart(ctx context.Context, p *corev1.Pod) bool {
	var events corev1.EventList
	if kube.List(ctx, &events, client.InNamespace(p.Namespace)) != nil {
		return false
	}
	return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
		return e.InvolvedObject.UID == p.UID && (strings.HasPrefix(e.Reason, "Failed") || e.Reason == "UserNamespacesNotSupported")
	})
}

// A Job decides by the exit codes of its pods; the runtime, which ends with the pod,
// must not have a say in that.
func TestAJobWithAFailurePolicyDecidesByItsApplication(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "shapes/job.txt", []byte(delivered))
	create(t, dataSet(ns, "job", item("x", "shapes/job.txt", "v1")))
	for name, c := range map[string]struct {
		args   []string
		want   batchv1.JobConditionType
		reason string
	}{
		"completes": {[]string{"check", "/kuda/data/x"}, batchv1.JobComplete, ""},
		"fails":     {[]string{"fail", "no", "such", "model"}, batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := podTemplate(c.args, "app=job", "job="+name)
			template.Spec.RestartPolicy = corev1.RestartPolicyNever
			job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: batchv1.JobSpec{
				Template: template, BackoffLimit: ptr.To[int32](6),
				// Of any container: the runtime's exit code must not be one of these either.
				PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
					Action:      batchv1.PodFailurePolicyActionFailJob,
					OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1}},
				}}},
			}}
			create(t, job)
			eventually(t, 2*time.Minute, func(ctx context.Context) error {
				if err := kube.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
					return err
				}
				for _, have := range job.Status.Conditions {
					if have.Type == c.want && have.Status == corev1.ConditionTrue && (c.reason == "" || have.Reason == c.reason) {
						return nil
					}
				}
				return fmt.Errorf("the Job's status is %+v", job.Status)
			})
			var list corev1.PodList
			if err := kube.List(t.Context(), &list, client.InNamespace(ns), client.MatchingLabels{"job": name}); err != nil || len(list.Items) != 1 {
				t.Errorf("it took %d pods, %v", len(list.Items), err)
			}
		})
	}
}

// Files of a narrow mode are for the pod's fsGroup where it has a store of its own, and
// for root only else, which is said when the pod is created.
func TestRestrictedFileIsReadableByTheFSGroupOrWarnedAbout(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "shapes/key.pem", []byte(delivered))
	for name, c := range map[string]struct {
		mode     int32
		ownStore bool
		reads    bool
	}{
		"fs-group":  {0o640, true, true},
		"only-root": {0o600, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := item("key.pem", "shapes/key.pem", "v1")
			file.Mode = &c.mode
			ds := dataSet(ns, name, file)
			create(t, ds)
			p := pod(ns, name, name, "wait")
			p.Spec.SecurityContext = &corev1.PodSecurityContext{
				RunAsUser: ptr.To[int64](1000), RunAsGroup: ptr.To[int64](1000), FSGroup: ptr.To[int64](2000), RunAsNonRoot: ptr.To(true),
			}
			p.Spec.ShareProcessNamespace = &c.ownStore // such a pod has a store of its own
			heard := createHearing(t, p)
			waitDelivered(t, ds, 1, 2*time.Minute)
			if warned := strings.Contains(heard, "cannot read item e2e/key.pem"); warned == c.reads {
				t.Errorf("warned: %q", heard)
			}
			kubectl(t, "-n", ns, "wait", "--for=jsonpath={.status.phase}=Running", "--timeout=60s", "pod/"+name)
			out, err := tryKubectl("-n", ns, "exec", name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/key.pem")
			if (err == nil) != c.reads || c.reads && out != delivered || !c.reads && !strings.Contains(out, "permission denied") {
				t.Errorf("the application reads %q, %v", out, err)
			}
			if says, code := kudaStatus(t, "doctor", name, "-n", ns); code != 0 || strings.Contains(says, "cannot read item") == c.reads {
				t.Errorf("doctor ended with %d and said:\n%s", code, says)
			}
		})
	}
}

// An application that listens on the runtime's port and does not say so ends again and
// again; doctor finds the cause in its log.
func TestDoctorFindsAnApplicationThatWantsTheRuntimesPort(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "shapes/port.txt", []byte(delivered))
	ds := dataSet(ns, "port", item("x", "shapes/port.txt", "v1"))
	create(t, ds)
	create(t, pod(ns, "port", "port", "proxy", "0.0.0.0:8888", "127.0.0.1:1"))
	waitDelivered(t, ds, 1, time.Minute)
	// The kubelet waits 10 and 20 s between the starts.
	eventually(t, 2*time.Minute, func(context.Context) error {
		if out, code := kudaStatus(t, "doctor", "port", "-n", ns); code == 0 || !strings.Contains(out, "port 8888 is in use\n") ||
			!strings.Contains(out, "declare port 8888 as a containerPort") {
			return fmt.Errorf("doctor ended with %d and said:\n%s", code, out)
		}
		return nil
	})
}
