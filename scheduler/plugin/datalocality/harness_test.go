// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/scheduler/apis/config"
)

const (
	namespace = "shop"
	gib       = int64(1) << 30
	rackLabel = "example.com/rack"
)

var readySince = metav1.NewTime(time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC))

// fakeHandle has a snapshot of nodes and the installed weights, and keeps which pods
// were activated.
type fakeHandle struct {
	fwk.Handle
	nodes     map[string]fwk.NodeInfo
	nominated map[string][]fwk.PodInfo
	extenders []fwk.Extender
	weights   map[string]int32
	activated []string
}

func (h *fakeHandle) NominatedPodsForNode(node string) []fwk.PodInfo { return h.nominated[node] }

func (h *fakeHandle) Extenders() []fwk.Extender { return h.extenders }

func (h *fakeHandle) ListPlugins() *schedulerconfig.Plugins {
	list := &schedulerconfig.Plugins{}
	for name, weight := range h.weights {
		list.Score.Enabled = append(list.Score.Enabled, schedulerconfig.Plugin{Name: name, Weight: weight})
	}
	return list
}

func (h *fakeHandle) SnapshotSharedLister() fwk.SharedLister { return fakeLister{nodes: h.nodes} }

func (h *fakeHandle) Activate(_ klog.Logger, pods map[string]*corev1.Pod) {
	for _, p := range pods {
		h.activated = append(h.activated, p.Name)
	}
}

type fakeLister struct {
	fwk.SharedLister
	fwk.NodeInfoLister
	nodes map[string]fwk.NodeInfo
}

func (l fakeLister) NodeInfos() fwk.NodeInfoLister { return l }

func (l fakeLister) Get(name string) (fwk.NodeInfo, error) {
	if n := l.nodes[name]; n != nil {
		return n, nil
	}
	return nil, errors.New("no such node")
}

// harness is a plugin that a test feeds as the informers would.
type harness struct {
	*Plugin
	handle *fakeHandle
}

func newHarness(change ...func(*config.DataLocalityArgs)) *harness {
	args := config.DataLocalityArgs{Weights: index.DefaultWeights(), RoomCheck: true}
	for _, f := range change {
		f(&args)
	}
	handle := &fakeHandle{nodes: map[string]fwk.NodeInfo{}, nominated: map[string][]fwk.PodInfo{}, weights: map[string]int32{
		Name: 5, names.TaintToleration: 3, names.NodeAffinity: 2, names.PodTopologySpread: 2, names.NodeResourcesFit: 1,
	}}
	p := newPlugin(args, handle, klog.Background())
	ready := make(chan struct{})
	close(ready)
	p.ready = ready
	return &harness{Plugin: p, handle: handle}
}

// node makes a ready node with these pods. It has no room for more.
func (h *harness) node(name string, pods ...*corev1.Pod) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name),
			Labels: map[string]string{corev1.LabelTopologyZone: "zone-" + name, rackLabel: "rack-" + name}},
		Status: corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{BootID: "boot-" + name},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: readySince}},
		},
	}
	h.setNode(n, pods...)
	return n
}

func (h *harness) setNode(n *corev1.Node, pods ...*corev1.Pod) {
	h.nodeChanged(n)
	info := framework.NewNodeInfo(pods...)
	info.SetNode(n)
	h.handle.nodes[n.Name] = info
}

// store says that a node holds these DataSets' data complete, and how much room
// it has.
func (h *harness) store(node string, available int64, holds ...*v1alpha1.DataSet) *v1alpha1.NodeStore {
	store := v1alpha1.NamespaceStore{Namespace: namespace, StoreID: "s-" + node, BootID: "boot-" + node, AvailableBytes: available,
		ObservedTime: metav1.NewTime(readySince.Add(time.Minute))}
	for _, d := range holds {
		for _, mark := range placement.Marks(d.Spec.Template) {
			store.Snapshots = append(store.Snapshots, v1alpha1.StoredSnapshot{ID: mark, Marks: []string{mark}, Bytes: gib,
				Phase: v1alpha1.SnapshotComplete})
		}
	}
	n := &v1alpha1.NodeStore{
		ObjectMeta: metav1.ObjectMeta{Name: node,
			OwnerReferences: []metav1.OwnerReference{{Kind: "Node", Name: node, UID: types.UID("uid-" + node)}}},
		Status: v1alpha1.NodeStoreStatus{Stores: []v1alpha1.NamespaceStore{store}},
	}
	h.storeChanged(n)
	return n
}

// dataSet makes a DataSet of one item of 1 GiB for pods with the label app.
func (h *harness) dataSet(name string, policy v1alpha1.PlacementPolicy, items ...string) *v1alpha1.DataSet {
	if len(items) == 0 {
		items = []string{"model"}
	}
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), Generation: 1},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": "server"}, Placement: policy,
			Template: v1alpha1.DataTemplateSpec{DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000",
				Bucket: "b"}}},
		},
	}
	for _, item := range items {
		d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, v1alpha1.DataItem{
			Name: item, Namespace: "default", RemotePath: "/" + name + "/" + item, LocalPath: "/" + item, Version: "v1",
			DataSourceType: v1alpha1.DataSourceMinIO,
		})
	}
	h.dataSetChanged(d)
	return d
}

func newPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name),
		Labels: map[string]string{"app": "server"}}}
	for _, f := range change {
		f(p)
	}
	return p
}

// preFilter runs a cycle's first step.
func (h *harness) preFilter(pod *corev1.Pod) (fwk.CycleState, *fwk.PreFilterResult, *fwk.Status) {
	cycle := framework.NewCycleState()
	result, status := h.PreFilter(context.Background(), cycle, pod, nil)
	return cycle, result, status
}

// scores of all nodes for a pod.
func (h *harness) scores(t *testing.T, pod *corev1.Pod) map[string]int64 {
	t.Helper()
	cycle, _, _ := h.preFilter(pod)
	scores := map[string]int64{}
	if status := h.PreScore(t.Context(), cycle, pod, nil); status.IsSkip() {
		return scores
	}
	for name, node := range h.handle.nodes {
		score, status := h.Score(t.Context(), cycle, pod, node)
		if !status.IsSuccess() {
			t.Fatalf("scoring %s: %v", name, status)
		}
		scores[name] = score
	}
	return scores
}

func pods(n int) []*corev1.Pod {
	list := make([]*corev1.Pod, n)
	for i := range list {
		list[i] = newPod(fmt.Sprintf("running-%d", i))
	}
	return list
}
