// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

func aNode(name, boot string, ready time.Duration) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		NodeInfo: corev1.NodeSystemInfo{BootID: boot},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(now.Add(-ready))}},
	}}
}

// aStore is what was said of a node in its boot b five minutes ago.
func aStore(name string, namespaces ...string) *v1alpha1.NodeStore {
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, namespace := range namespaces {
		s.Status.Stores = append(s.Status.Stores, v1alpha1.NamespaceStore{
			Namespace: namespace, StoreID: "store", BootID: "b", ObservedTime: metav1.NewTime(now.Add(-5 * time.Minute)),
		})
	}
	return s
}

// onNode is a Data whose pod has had its data on a node for a time, and the pod.
func onNode(podName, node, store string, age time.Duration) []client.Object {
	d := data("models", podName, condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "all"))
	d.Status.NodeName, d.Status.Conditions[0].LastTransitionTime = node, metav1.NewTime(now.Add(-age))
	d.Status.ObservedRevision, d.Status.CurrentRevision, d.Status.DataItems, d.Status.Success = d.Spec.Revision, d.Spec.Revision, 1, 1
	d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{{Namespace: "default", Name: "weights", Phase: v1alpha1.DataSuccess}}
	return []client.Object{d, podOf(podName, age, func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationStore] = store })}
}

func TestStaleAndMissingNodeStoresAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		objects []client.Object
		args    []string
		want    []string
		code    int
	}{
		"believed": {[]client.Object{aNode("n1", "b", time.Hour), aStore("n1", "shop")}, nil,
			[]string{"known from 1 NodeStore; nothing of it is stale"}, 0},
		"stale": {[]client.Object{aNode("n1", "c", time.Hour), aStore("n1", "shop", "lab"), aStore("n2", "shop")}, nil, []string{
			"NodeStore n1: what it says of shop, lab is not believed: the node was started again since",
			"NodeStore n2: what it says of shop is not believed: there is no such node",
			"kubectl describe node n1",
		}, 0},
		"stale in another namespace": {[]client.Object{aNode("n1", "c", time.Hour), aStore("n1", "lab")}, []string{"-n", "shop"},
			[]string{"nothing of it is stale"}, 0},
		"stale a moment ago": {[]client.Object{aNode("n1", "c", 10*time.Second), aStore("n1", "shop")}, nil,
			[]string{"nothing of it is stale"}, 0},
		"silent": {append(onNode("web-0", "n1", v1alpha1.StoreNode, time.Hour), onNode("web-1", "n2", v1alpha1.StoreNode, time.Hour)...), nil,
			[]string{
				"nothing is known of what node n1 holds for namespace shop, nor of 1 more store of a namespace on a node, where pods have had data " +
					"for more than 10 minutes",
				"kubectl logs web-0 -n shop -c kuda-runtime", "kubectl rollout restart deployment/NAME -n shop",
			}, 0},
		"silent for a moment": {onNode("web-0", "n1", v1alpha1.StoreNode, time.Minute), nil, []string{"no node has a store yet"}, 0},
		"stores of pods":      {onNode("web-0", "n1", v1alpha1.StorePod, time.Hour), nil, []string{"no node has a store yet"}, 0},
		"no longer silent": {append(onNode("web-0", "n1", v1alpha1.StoreNode, time.Hour), aNode("n1", "b", time.Hour), aStore("n1", "shop")), nil,
			[]string{"nothing of it is stale"}, 0},
	} {
		out, err := cluster{objects: append(sound(t), c.objects...), probe: errRefused}.run(t, c.args...)
		clitest.WantExit(t, err, c.code)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
	}
}

func TestAMissingCRDIsReportedOnce(t *testing.T) {
	c := cluster{objects: sound(t), probe: errRefused, refuse: func(kind, _ string) error {
		if kind == "NodeStore" {
			return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: kind},
				SearchedVersions: []string{"v1alpha1"}}
		}
		return nil
	}}
	for i, o := range c.objects {
		if strings.HasPrefix(o.GetName(), "nodestores.") {
			c.objects = append(c.objects[:i:i], c.objects[i+1:]...)
			break
		}
	}
	out, err := c.run(t)
	clitest.WantExit(t, err, frame.ExitNegative)
	if strings.Count(out, "NodeStore")+strings.Count(out, "nodestores") != 1 ||
		!strings.Contains(out, "nodestores.data.kuda.io: is not installed") {
		t.Error(out)
	}
}

func TestPlacementRequireWithoutItsSchedulerIsFound(t *testing.T) {
	strict := dataSet("shop", "models", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "4/4 pods have their data"))
	strict.Spec.Placement = v1alpha1.PlacementRequire
	asking := func(scheduler string) client.Object {
		return podOf("web-0", time.Minute, func(p *corev1.Pod) { p.Spec.SchedulerName = scheduler })
	}
	configured := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: configName},
		Data:       map[string]string{configKey: "schedulerName: kuda-scheduler\n"},
	}
	for name, c := range map[string]struct {
		objects []client.Object
		args    []string
		want    string
		code    int
	}{
		"none, but configured": {[]client.Object{configured}, nil, "and the ConfigMap kuda-config gives it to the pods that DataSets select",
			frame.ExitNegative},
		"none": {nil, nil, "Deployment kuda-system/kuda-scheduler: is not there, but placement is Require in shop/models",
			frame.ExitNegative},
		"one that is ill": {[]client.Object{deployment("kuda-scheduler", "v0.1.0", 2, 0)}, nil, "kuda-scheduler: 0 of 2 replicas are available",
			frame.ExitNegative},
		"one": {[]client.Object{deployment("kuda-scheduler", "v0.1.0", 2, 2)}, nil,
			"kuda-scheduler: 2 of 2 replicas are available", frame.ExitDone},
		"none for a DataSet": {[]client.Object{asking("kuda-scheduler")}, []string{"models", "-n", "shop"},
			"is not there, but placement of the DataSet is Require", frame.ExitNegative},
		"not asked for": {[]client.Object{deployment("kuda-scheduler", "v0.1.0", 2, 2), asking("")}, []string{"models", "-n", "shop"},
			"placement is Require, but pods ask for default-scheduler: web-0", frame.ExitDone},
		"asked for": {[]client.Object{deployment("kuda-scheduler", "v0.1.0", 2, 2), asking("kuda-scheduler")}, []string{"models", "-n", "shop"},
			"0 problems, 0 warnings", frame.ExitDone},
	} {
		out, err := cluster{objects: append(replace(sound(t), strict.DeepCopy()), c.objects...), probe: errRefused}.run(t, c.args...)
		clitest.WantExit(t, err, c.code)
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: no %q in\n%s", name, c.want, out)
		}
	}
}

func TestAFailedPreheatHasAnAdvice(t *testing.T) {
	d := dataSet("shop", "models", condition(v1alpha1.ConditionPreheated, "False", v1alpha1.ReasonPreheatFailed,
		"1 of 3 nodes failed; node n2: InsufficientSpace: needs 4 GiB"),
		condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "4/4 pods have their data"))
	out, err := cluster{objects: replace(sound(t), d), probe: errRefused}.run(t)
	clitest.WantExit(t, err, frame.ExitNegative)
	for _, want := range []string{"Preheated is False, PreheatFailed: 1 of 3 nodes failed; node n2",
		"kubectl get pods -n shop -l kuda.io/preheat=models -o wide"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
