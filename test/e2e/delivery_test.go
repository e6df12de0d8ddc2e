// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const delivered = "delivered by kuda\n"

func TestEveryWorkloadKindIsDelivered(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "kinds/hello.txt", []byte(delivered))
	file := item("hello", "kinds/hello.txt", "v1")
	// Each application checks its data as the very first thing it does, and
	// does not start again if it is not there.
	workload := func(app string) corev1.PodTemplateSpec {
		return podTemplate([]string{"wait"}, "app="+app)
	}
	selector := func(app string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	}
	job := podTemplate([]string{"check", "/kuda/data/hello"}, "app=job")
	job.Spec.RestartPolicy = corev1.RestartPolicyNever
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	kinds := []struct {
		app  string
		pods int32
		of   client.Object
	}{
		{"deployment", 2, deployment(ns, "deployment", 2, "wait")},
		{"statefulset", 2, &appsv1.StatefulSet{ObjectMeta: meta("statefulset"), Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](2), Selector: selector("statefulset"), Template: workload("statefulset")}}},
		{"daemonset", 3, &appsv1.DaemonSet{ObjectMeta: meta("daemonset"), Spec: appsv1.DaemonSetSpec{
			Selector: selector("daemonset"), Template: workload("daemonset")}}},
		{"job", 1, &batchv1.Job{ObjectMeta: meta("job"), Spec: batchv1.JobSpec{
			BackoffLimit: ptr.To[int32](0), Template: job}}},
		{"barepod", 1, pod(ns, "barepod", "barepod", "wait")},
	}
	for _, k := range kinds {
		create(t, dataSet(ns, k.app, file))
		create(t, k.of)
	}
	for _, k := range kinds {
		t.Run(k.app, func(t *testing.T) {
			if k.app == "job" {
				waitJobComplete(t, ns, "job")
				return
			}
			waitDelivered(t, dataSet(ns, k.app), k.pods, 90*time.Second)
			for _, p := range pods(t, ns, k.app) {
				if got := inPod(t, p, "check", "/kuda/data/hello"); got != delivered {
					t.Errorf("pod %s reads %q", p.Name, got)
				}
			}
		})
	}
}

// waitJobComplete waits until a Job has completed: its sidecar must not keep it.
func waitJobComplete(t *testing.T, namespace, name string) {
	t.Helper()
	eventually(t, 90*time.Second, func(ctx context.Context) error {
		var job batchv1.Job
		if err := kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &job); err != nil {
			return err
		}
		if job.Status.Succeeded != 1 {
			return fmt.Errorf("job %s is not complete: %+v", name, job.Status)
		}
		return nil
	})
	if out := kubectl(t, "-n", namespace, "logs", "job/"+name, "-c", "app"); out != delivered {
		t.Errorf("the job read %q", out)
	}
}

func TestPodOfTwoDataSetsGetsBoth(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "two/one.txt", []byte("one\n"))
	store.put(t, "two/two.txt", []byte("two\n"))
	one, two := dataSet(ns, "one", item("dir/one", "two/one.txt", "v1")), dataSet(ns, "two", item("dir/two", "two/two.txt", "v1"))
	one.Spec.WorkloadSelector = map[string]string{"app": "both"}
	two.Spec.WorkloadSelector = map[string]string{"e2e": "yes"}
	create(t, one)
	create(t, two)
	create(t, pod(ns, "nodash", "both", "wait"))
	waitDelivered(t, one, 1, time.Minute)
	waitDelivered(t, two, 1, time.Minute)
	if got := inPod(t, pods(t, ns, "both")[0], "check", "/kuda/data/dir/one", "/kuda/data/dir/two"); got != "one\ntwo\n" {
		t.Errorf("the pod reads %q", got)
	}
}

func TestPodNamesAtTheLengthLimitGetTheirOwnData(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "names/x.txt", []byte(delivered))
	create(t, dataSet(ns, "names", item("x", "names/x.txt", "v1")))
	// Alike but for their last characters, so that cutting names must not join them.
	// A pod's name may have 253 characters, but the kubelet makes a directory
	// named <namespace>_<pod>_<uid>, which must not exceed 255.
	long := strings.Repeat("p", 200)
	create(t, pod(ns, long+"-a", "names", "wait"))
	create(t, pod(ns, long+"-b", "names", "wait"))
	waitDelivered(t, dataSet(ns, "names"), 2, time.Minute)
}

func TestPodsOfARestrictedNamespaceAreDelivered(t *testing.T) {
	ns := newNamespace(t, restrictedLabels())
	store.put(t, "restricted/x.txt", []byte(delivered))
	create(t, dataSet(ns, "restricted", item("x", "restricted/x.txt", "v1")))
	p := pod(ns, "restricted", "restricted", "wait")
	restrict(&p.Spec)
	create(t, p)
	ds := dataSet(ns, "restricted")
	waitDelivered(t, ds, 1, time.Minute)
	live := pods(t, ns, "restricted")[0]
	if got := live.Annotations[v1alpha1.AnnotationStore]; got != restrictedStore {
		t.Errorf("store %q, want %q", got, restrictedStore)
	}
	if got := inPod(t, live, "check", "/kuda/data/x"); got != delivered {
		t.Errorf("the pod reads %q", got)
	}
	store.put(t, "restricted/y.txt", []byte("second\n"))
	setVersion(t, ds, 0, "v2", "restricted/y.txt")
	waitDelivered(t, ds, 1, 30*time.Second)
	if got := inPod(t, live, "check", "/kuda/data/x"); got != "second\n" {
		t.Errorf("after the change the pod reads %q", got)
	}
}

func TestPodWithoutAServiceAccountTokenIsDelivered(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "notoken/x.txt", []byte(delivered))
	create(t, dataSet(ns, "notoken", item("x", "notoken/x.txt", "v1")))
	p := pod(ns, "notoken", "notoken", "wait")
	p.Spec.AutomountServiceAccountToken = ptr.To(false)
	create(t, p)
	waitDelivered(t, dataSet(ns, "notoken"), 1, time.Minute)
	if _, err := tryKubectl("-n", ns, "exec", "notoken", "-c", "app", "--", "/e2e-app", "list", "/var/run/secrets"); err == nil {
		t.Error("the application has a service account token")
	}
	if _, err := tryKubectl("-n", ns, "exec", "notoken", "-c", "app", "--", "/e2e-app", "list", "/var/run/kuda"); err == nil {
		t.Error("the application sees the runtime's credentials")
	}
}

func TestInitContainersSeeTheData(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "init/x.txt", []byte(delivered))
	create(t, dataSet(ns, "init", item("x", "init/x.txt", "v1")))
	p := pod(ns, "init", "init", "wait")
	p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: appImage, Args: []string{"check", "/kuda/data/x"}}}
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	create(t, p)
	waitDelivered(t, dataSet(ns, "init"), 1, time.Minute)
	waitRunning(t, ns, "init", 1)
	if out := kubectl(t, "-n", ns, "logs", "init", "-c", "first"); out != delivered {
		t.Errorf("the init container read %q", out)
	}
}

func TestReaderNeverSeesPartialMixedOrMissingFilesOver10Versions(t *testing.T) {
	ns := newNamespace(t, nil)
	const versions = 10
	for v := range versions {
		store.putWatched(t, fmt.Sprintf("watched/v%d", v), fmt.Sprintf("v%d", v))
	}
	ds := dataSet(ns, "watched", item("tree", "watched/v0/", "v0"))
	create(t, ds)
	create(t, deployment(ns, "watched", 2, "serve", "--watch", "/kuda/data/tree"))
	waitDelivered(t, ds, 2, time.Minute)
	for v := 1; v < versions; v++ {
		setVersion(t, ds, 0, fmt.Sprintf("v%d", v), fmt.Sprintf("watched/v%d/", v))
		waitDelivered(t, ds, 2, 30*time.Second)
	}
	for _, p := range pods(t, ns, "watched") {
		var seen struct {
			Reads, Missing, Partial, Mixed int
			Versions                       map[string]int
			First                          string
		}
		eventually(t, 30*time.Second, func(ctx context.Context) error {
			if err := getJSON(ctx, p, "/seen", &seen); err != nil {
				return err
			}
			if last := fmt.Sprintf("v%d", versions-1); seen.Versions[last] == 0 {
				return fmt.Errorf("never saw %s: %+v", last, seen)
			}
			return nil
		})
		t.Logf("pod %s: %+v", p.Name, seen)
		if seen.Missing+seen.Partial+seen.Mixed != 0 {
			t.Errorf("pod %s in %d reads: %d missing, %d partial, %d mixed; first: %s",
				p.Name, seen.Reads, seen.Missing, seen.Partial, seen.Mixed, seen.First)
		}
		if len(seen.Versions) < 2 {
			t.Errorf("pod %s was to see versions change, saw %v", p.Name, seen.Versions)
		}
	}
	if n := restarts(pods(t, ns, "watched")); n != 0 {
		t.Errorf("applications were restarted %d times", n)
	}
}

func TestTwelvePodsOnOneNodeCauseOneDownload(t *testing.T) {
	ns := newNamespace(t, nil)
	const size = 64 << 20
	store.putLarge(t, "shared/large.bin", size)
	create(t, dataSet(ns, "shared", item("large", "shared/large.bin", "v1")))
	d := deployment(ns, "shared", 12, "wait")
	d.Spec.Template.Spec.NodeName = "node2"
	before := store.served("shared/large.bin")
	create(t, d)
	waitDelivered(t, dataSet(ns, "shared"), 12, 2*time.Minute)
	// MinIO's records come a moment later than its answers.
	eventually(t, 20*time.Second, func(context.Context) error {
		if got := store.served("shared/large.bin").bytes - before.bytes; got < size {
			return fmt.Errorf("MinIO has recorded %d bytes", got)
		}
		return nil
	})
	got := store.served("shared/large.bin")
	t.Logf("12 pods: MinIO served %d bytes in %d requests of an object of %d bytes", got.bytes-before.bytes,
		got.requests-before.requests, size)
	if sent := got.bytes - before.bytes; sent > size+size/20 {
		t.Errorf("MinIO served %d bytes for an object of %d: more than one download", sent, size)
	}
}
