// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package cli_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/placement"
)

// TestPlacementIsReadFromARealAPIServer holds that what the two commands list and
// select by is what the server answers: NodeStores by their CRD, and events by
// the pod's name.
func TestPlacementIsReadFromARealAPIServer(t *testing.T) {
	namespace, path, ctx := server.Namespace(t), server.Kubeconfig(t), t.Context()
	d := server.DataSet(t, namespace, "models", "web", func(d *v1alpha1.DataSet) { d.Spec.Placement = v1alpha1.PlacementRequire })
	ready := metav1.NewTime(time.Now().Add(-time.Hour))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "holder-"}}
	if err := server.Client.Create(ctx, node); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { discard(t, node) })
	node.Status = corev1.NodeStatus{
		NodeInfo:   corev1.NodeSystemInfo{BootID: "boot"},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: ready}},
	}
	if err := server.Client.Status().Update(ctx, node); err != nil {
		t.Fatal(err)
	}
	store := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{
		Name: node.Name, OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}},
	}}
	if err := server.Client.Create(ctx, store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { discard(t, store) })
	store.Status = v1alpha1.NodeStoreStatus{Items: 1, Bytes: 1 << 30, Stores: []v1alpha1.NamespaceStore{{
		Namespace: namespace, StoreID: "store", BootID: "boot", ObservedTime: metav1.Now(), AvailableBytes: 1 << 30, UsedBytes: 1 << 30,
		Snapshots: []v1alpha1.StoredSnapshot{{
			ID: "s", Marks: placement.Marks(d.Spec.Template), Version: "v1", Bytes: 1 << 30, Phase: v1alpha1.SnapshotComplete, Pods: 1,
		}},
	}}}
	if err := server.Client.Status().Update(ctx, store); err != nil {
		t.Fatal(err)
	}
	pod := server.Pod(t, namespace, "web-0", "web", func(p *corev1.Pod) {
		p.Spec.NodeName, p.Spec.SchedulerName = "", "kuda-scheduler"
		p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StoreNode
	})
	event := func(name, of, message string) *corev1.Event {
		return &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: name},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: of, UID: pod.UID},
			Reason:         "FailedScheduling", Message: message, EventTime: metav1.NowMicro(), Type: corev1.EventTypeWarning,
			ReportingController: "kuda-scheduler", ReportingInstance: "kuda-scheduler-0", Action: "Scheduling",
		}
	}
	for _, e := range []*corev1.Event{event("mine", "web-0", "1 node lacks default/model v1"), event("other", "web-1", "of another pod")} {
		if err := server.Client.Create(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		f := frame.New(frame.Streams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
		if code := cli.Run(ctx, f, append([]string{"kuda", "--kubeconfig", path, "--context", "test", "-n", namespace}, args...)); code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
		return out.String()
	}
	for _, want := range []string{node.Name, "default/model v1", "1.0 GiB, 1 pod"} {
		if out := run("nodes"); !strings.Contains(out, want) {
			t.Errorf("nodes: no %q in\n%s", want, out)
		}
	}
	out := run("why", "web-0")
	for _, want := range []string{"1 node lacks default/model v1", "what is required is on " + node.Name, "1.0 GiB 100%"} {
		if !strings.Contains(out, want) {
			t.Errorf("why: no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "of another pod") {
		t.Errorf("why: another pod's event in\n%s", out)
	}
	managertest.Edit(t, server, store, func(s *v1alpha1.NodeStore) { s.OwnerReferences[0].UID = "another" })
	if out := run("nodes", "-o", "wide"); !strings.Contains(out, "stale: it is of an earlier node of that name") {
		t.Errorf("nodes of another node:\n%s", out)
	}
}

// discard deletes what has no namespace, after the test.
func discard(t *testing.T, object client.Object) {
	if err := server.Client.Delete(context.Background(), object); err != nil {
		t.Errorf("deleting %s: %v", object.GetName(), err)
	}
}

// TestOnlyTheRoleForNodesLetsAUserSeeWhatNodesHold runs the commands as a user
// who may view a namespace, without and with the role that an error names.
func TestOnlyTheRoleForNodesLetsAUserSeeWhatNodesHold(t *testing.T) {
	namespace, path, ctx := server.Namespace(t), server.Kubeconfig(t), t.Context()
	content, err := os.ReadFile("../../deploy/base/rbac/users.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		role := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &role.Object); err != nil {
			t.Fatal(err)
		}
		if err := server.Client.Create(ctx, role); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { discard(t, role) })
	}
	// There is no controller that adds these two up to the role view.
	for _, role := range []string{"system:aggregate-to-view", "kuda-view"} {
		bind(t, "RoleBinding", namespace, role)
	}
	server.DataSet(t, namespace, "models", "web")
	server.Pod(t, namespace, "web-0", "web")
	run := func(args ...string) (string, int) {
		var out bytes.Buffer
		f := frame.New(frame.Streams{In: strings.NewReader(""), Out: &out, ErrOut: &out})
		code := cli.Run(ctx, f, append([]string{"kuda", "--kubeconfig", path, "--context", "test", "--as", "viewer", "-n", namespace}, args...))
		return out.String(), code
	}
	if out, code := run("nodes"); code != frame.ExitError || !strings.Contains(out, "--clusterrole kuda-nodes-view") {
		t.Errorf("nodes without the role: exit code %d, %s", code, out)
	}
	out, code := run("why", "web-0")
	if code != frame.ExitDone || !strings.Contains(out, "Left out") || !strings.Contains(out, "kuda-nodes-view") {
		t.Errorf("why without the role: exit code %d, %s", code, out)
	}
	bind(t, "ClusterRoleBinding", "", "kuda-nodes-view")
	for _, args := range [][]string{{"nodes"}, {"why", "web-0"}} {
		var out string
		managertest.Eventually(t, strings.Join(args, " ")+" is allowed", func(context.Context) (bool, error) {
			out, _ = run(args...)
			return !strings.Contains(out, "you may not"), nil
		})
		if strings.Contains(out, "error") {
			t.Errorf("%v with the role: %s", args, out)
		}
	}
}

// bind binds the user viewer to a ClusterRole.
func bind(t *testing.T, kind, namespace, role string) {
	t.Helper()
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
		"metadata": map[string]any{"generateName": "viewer-", "namespace": namespace},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
	}}
	if err := server.Client.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { discard(t, binding) })
}
