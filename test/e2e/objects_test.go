// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// dataSet is a DataSet for the pods labelled app=<name>, from MinIO.
func dataSet(namespace, name string, items ...v1alpha1.DataItem) *v1alpha1.DataSet {
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": name},
			Template: v1alpha1.DataTemplateSpec{
				DataItems: items,
				DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{
					Endpoint: inCluster, Bucket: bucket, SecretRef: &v1alpha1.SecretReference{Name: credentials},
				}},
			},
		},
	}
}

// item is a file or tree of the bucket, delivered to /kuda/data/<name>.
func item(name, remote, version string) v1alpha1.DataItem {
	return v1alpha1.DataItem{Name: name, Namespace: "e2e", RemotePath: remote, LocalPath: name, Version: version,
		DataSourceType: v1alpha1.DataSourceMinIO}
}

// podTemplate is an application's pod with the given arguments; its labels are
// those given, as key=value.
func podTemplate(args []string, labels ...string) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"e2e": "yes"}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			Containers:                    []corev1.Container{{Name: "app", Image: appImage, Args: args}},
		},
	}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		t.Labels[key] = value
	}
	return t
}

// deployment runs n pods labelled app=<name>.
func deployment(namespace, name string, n int32, args ...string) *appsv1.Deployment {
	template := podTemplate(args, "app="+name)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &n, Template: template,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	}
}

func pod(namespace, name, app string, args ...string) *corev1.Pod {
	t := podTemplate(args, "app="+app)
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: t.Labels}, Spec: t.Spec}
}

// pods lists the pods labelled app=<app> that are not being deleted.
func pods(t *testing.T, namespace, app string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := kube.List(t.Context(), &list, client.InNamespace(namespace), client.MatchingLabels{"app": app}); err != nil {
		t.Fatal(err)
	}
	var live []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			live = append(live, p)
		}
	}
	return live
}

// waitDelivered waits until n pods have every item of the DataSet as it is now.
func waitDelivered(t *testing.T, ds *v1alpha1.DataSet, n int32, timeout time.Duration) {
	t.Helper()
	eventually(t, timeout, func(ctx context.Context) error {
		var got v1alpha1.DataSet
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), &got); err != nil {
			return err
		}
		s := got.Status
		if s.ObservedGeneration != got.Generation || s.Replicas != n || s.UpdatedReplicas != n || s.Success != n ||
			!meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("DataSet %s is not delivered to %d pods: %+v", ds.Name, n, s)
		}
		return nil
	})
}

// setVersion gives an item of a DataSet another version (and remote path, where
// one is given).
func setVersion(t *testing.T, ds *v1alpha1.DataSet, itemIndex int, version, remote string) {
	t.Helper()
	update(t, ds, func() {
		ds.Spec.Template.DataItems[itemIndex].Version = version
		if remote != "" {
			ds.Spec.Template.DataItems[itemIndex].RemotePath = remote
		}
	})
}

func update(t *testing.T, ds *v1alpha1.DataSet, change func()) {
	t.Helper()
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		before := ds.DeepCopy()
		change()
		// A patch has no conflict with the status, which is written beside it. With a node
		// cut off, the webhook may take longer than the time between two writes.
		return kube.Patch(ctx, ds, client.MergeFrom(before))
	})
}

// waitItem waits until the single item of the single Data of a DataSet has a reason.
func waitItem(t *testing.T, namespace, reason string, timeout time.Duration) v1alpha1.DataItemStatus {
	t.Helper()
	var found v1alpha1.DataItemStatus
	eventually(t, timeout, func(ctx context.Context) error {
		var list v1alpha1.DataList
		if err := kube.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		if len(list.Items) != 1 || len(list.Items[0].Status.DataItemsStatus) != 1 {
			return fmt.Errorf("%d Data, want 1 with a status of 1 item", len(list.Items))
		}
		found = list.Items[0].Status.DataItemsStatus[0]
		if found.Reason != reason {
			return fmt.Errorf("reason %q (%s), want %s", found.Reason, found.Message, reason)
		}
		ready := meta.FindStatusCondition(list.Items[0].Status.Conditions, v1alpha1.ConditionReady)
		if found.Phase == v1alpha1.DataFailed && (ready == nil || ready.Status != metav1.ConditionFalse || ready.Reason != reason) {
			return fmt.Errorf("the Data's Ready condition does not say %s: %+v", reason, ready)
		}
		return nil
	})
	return found
}

// inPod runs the application's binary in its container, once that runs: data is
// delivered before the application starts.
func inPod(t *testing.T, p corev1.Pod, args ...string) string {
	t.Helper()
	kubectl(t, "-n", p.Namespace, "wait", "--for=jsonpath={.status.phase}=Running", "--timeout=60s", "pod/"+p.Name)
	return kubectl(t, append([]string{"-n", p.Namespace, "exec", p.Name, "-c", "app", "--", "/e2e-app"}, args...)...)
}

// getJSON asks a pod's application over the pod network.
func getJSON(ctx context.Context, p corev1.Pod, path string, into any) error {
	if p.Status.PodIP == "" {
		return fmt.Errorf("pod %s has no address yet", p.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:8080%s", p.Status.PodIP, path), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

// restarts adds up how often the application's containers were restarted.
func restarts(ps []corev1.Pod) int32 {
	var n int32
	for _, p := range ps {
		for _, c := range p.Status.ContainerStatuses {
			n += c.RestartCount
		}
	}
	return n
}
