// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/manager/managertest"
)

// holds is a report of so many snapshots, in the boot of managertest's nodes.
func holds(snapshots int) *gatewayv1alpha1.ReportStoreRequest {
	r := &gatewayv1alpha1.ReportStoreRequest{
		StoreId: "store-1", CapacityBytes: 100 << 30, FreeBytes: 50 << 30, AvailableBytes: 40 << 30,
	}
	for i := range snapshots {
		r.Snapshots = append(r.Snapshots, &gatewayv1alpha1.StoredSnapshot{
			Id: fmt.Sprintf("%040x", i), Marks: []string{fmt.Sprintf("%032x", i)}, Source: "s3://minio:9000/models", Path: "m", Version: "v1",
			Bytes: 1 << 30, Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS, Pods: 1,
		})
		r.UsedBytes += 1 << 30
	}
	return r
}

func report(t *testing.T, gateway gatewayv1alpha1connect.GatewayServiceClient, r *gatewayv1alpha1.ReportStoreRequest) {
	t.Helper()
	if _, err := gateway.ReportStore(t.Context(), connect.NewRequest(r)); err != nil {
		t.Fatalf("reporting: %v", err)
	}
}

// onNode makes a pod of a new namespace on a node.
func onNode(t *testing.T, node string) *corev1.Pod {
	t.Helper()
	return cluster.Pod(t, cluster.Namespace(t), "p", "web", func(p *corev1.Pod) {
		p.Spec.NodeName = node
		p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StoreNode
	})
}

// stored waits until a NodeStore is as wanted.
func stored(t *testing.T, node, what string, wanted func(*v1alpha1.NodeStore) bool) *v1alpha1.NodeStore {
	t.Helper()
	var s v1alpha1.NodeStore
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last state of NodeStore %s: %+v", node, s)
		}
	})
	managertest.Eventually(t, what, func(ctx context.Context) (bool, error) {
		s = v1alpha1.NodeStore{}
		err := cluster.Client.Get(ctx, client.ObjectKey{Name: node}, &s)
		return err == nil && wanted(&s), client.IgnoreNotFound(err)
	})
	return &s
}

// items of a namespace's entry; -1: it has none.
func items(s *v1alpha1.NodeStore, namespace string) int {
	for i := range s.Status.Stores {
		if s.Status.Stores[i].Namespace == namespace {
			return len(s.Status.Stores[i].Snapshots)
		}
	}
	return -1
}

func TestTwoReplicasKeepWhatOtherNamespacesHold(t *testing.T) {
	managers := []*managertest.Manager{cluster.StartManager(t), cluster.StartManager(t)}
	node := cluster.Node(t)
	const namespaces, rounds = 4, 3
	var pods []*corev1.Pod
	var reporters sync.WaitGroup
	for i := range namespaces {
		p := onNode(t, node.Name)
		pods = append(pods, p)
		gateway := managers[i%2].GatewayFor(t, cluster, p)
		reporters.Go(func() {
			for round := range rounds {
				if _, err := gateway.ReportStore(t.Context(), connect.NewRequest(holds(round+i))); err != nil {
					t.Errorf("reporting: %v", err)
				}
			}
		})
	}
	reporters.Wait()
	s := stored(t, node.Name, "it is there", func(*v1alpha1.NodeStore) bool { return true })
	total := 0
	for i, p := range pods {
		want := rounds - 1 + i
		total += want
		if got := items(s, p.Namespace); got != want {
			t.Errorf("%d snapshots of namespace %d, want %d", got, i, want)
		}
	}
	if int(s.Status.Items) != total || s.Status.Size != fmt.Sprintf("%d.0 GiB", total) || s.Status.Free != "50.0 GiB" {
		t.Errorf("totals: %d items, %s, %s free", s.Status.Items, s.Status.Size, s.Status.Free)
	}
	if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != node.UID {
		t.Errorf("owner: %+v", s.OwnerReferences)
	}

	// Nothing changes any more, so nothing is written.
	for i, p := range pods {
		for _, m := range managers {
			report(t, m.GatewayFor(t, cluster, p), holds(rounds-1+i))
		}
	}
	after := stored(t, node.Name, "it is there", func(*v1alpha1.NodeStore) bool { return true })
	if after.ResourceVersion != s.ResourceVersion {
		t.Errorf("equal reports were written: version %s, then %s", s.ResourceVersion, after.ResourceVersion)
	}

	cluster.Vanish(t, pods[0].Namespace)
	stored(t, node.Name, "what a namespace held that is gone is dropped", func(s *v1alpha1.NodeStore) bool {
		return items(s, pods[0].Namespace) < 0 && items(s, pods[1].Namespace) > 0
	})
}

func TestANodeThatComesBackHasNoEntriesUntilTheNextReport(t *testing.T) {
	m := cluster.StartManager(t)
	node := cluster.Node(t)
	p := onNode(t, node.Name)
	gateway := m.GatewayFor(t, cluster, p)
	report(t, gateway, holds(2))
	stored(t, node.Name, "it is there", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) == 2 })

	// Not Ready: nothing is known, nothing is dropped.
	cluster.EditNodeStatus(t, node, func(n *corev1.Node) { managertest.NodeReady(n, corev1.ConditionUnknown, time.Now()) })
	s := stored(t, node.Name, "it stays", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) == 2 })

	cluster.EditNodeStatus(t, node, func(n *corev1.Node) { managertest.NodeReady(n, corev1.ConditionTrue, time.Now().Add(2*time.Second)) })
	stored(t, node.Name, "what was said before is dropped",
		func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) < 0 && s.Status.Items == 0 })
	report(t, gateway, holds(2))
	again := stored(t, node.Name, "the same said again counts", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) == 2 })
	if !again.Status.Stores[0].ObservedTime.After(s.Status.Stores[0].ObservedTime.Time) {
		t.Errorf("observed at %s, then at %s", s.Status.Stores[0].ObservedTime, again.Status.Stores[0].ObservedTime)
	}

	// Another boot without a moment of not being Ready.
	cluster.EditNodeStatus(t, node, func(n *corev1.Node) { n.Status.NodeInfo.BootID = "boot-2" })
	stored(t, node.Name, "what another boot held is dropped", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) < 0 })
	report(t, gateway, holds(1))
	stored(t, node.Name, "a report of this boot counts", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) == 1 })
}

func TestARuntimeIsAskedAgainWhenItsNodeComesBack(t *testing.T) {
	m := cluster.StartManager(t)
	node := cluster.Node(t)
	p, quiet := onNode(t, node.Name), onNode(t, node.Name)
	open := func(p *corev1.Pod) (gatewayv1alpha1connect.GatewayServiceClient, *connect.ServerStreamForClient[gatewayv1alpha1.WatchResponse]) {
		gateway := m.GatewayFor(t, cluster, p)
		stream, err := gateway.Watch(t.Context(), connect.NewRequest(&gatewayv1alpha1.WatchRequest{}))
		if err != nil || !stream.Receive() {
			t.Fatalf("no stream: %v, %v", err, stream.Err())
		}
		t.Cleanup(func() { _ = stream.Close() })
		return gateway, stream
	}
	gateway, stream := open(p)
	_, other := open(quiet)
	report(t, gateway, holds(1))
	cluster.EditNodeStatus(t, node, func(n *corev1.Node) { managertest.NodeReady(n, corev1.ConditionTrue, time.Now().Add(2*time.Second)) })
	for stream.Receive() {
		continue
	}
	if code := connect.CodeOf(stream.Err()); code != connect.CodeUnavailable {
		t.Errorf("the reporter's stream ended with %v, want Unavailable", stream.Err())
	}
	// Those who report nothing stay connected: a change still comes by the stream.
	cluster.DataSet(t, quiet.Namespace, "one", "web", func(d *v1alpha1.DataSet) { d.Spec.Preheat = &v1alpha1.Preheat{} })
	for other.Receive() {
		if len(other.Msg().GetPreheats().GetDatasets()) == 1 {
			return
		}
	}
	t.Errorf("the stream of a pod that reports nothing ended with %v", other.Err())
}

func TestTheNodeStoreOfADeletedNodeIsRemoved(t *testing.T) {
	m := cluster.StartManager(t)
	node := cluster.Node(t)
	p := onNode(t, node.Name)
	gateway := m.GatewayFor(t, cluster, p)
	report(t, gateway, holds(3))
	cluster.Delete(t, node)
	managertest.Eventually(t, "its NodeStore is gone", func(ctx context.Context) (bool, error) {
		err := cluster.Client.Get(ctx, client.ObjectKey{Name: node.Name}, &v1alpha1.NodeStore{})
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if _, err := gateway.ReportStore(t.Context(), connect.NewRequest(holds(3))); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a report from a node that is gone: %v", err)
	}

	// While no manager looks, a node goes and another of its name comes.
	again := cluster.Node(t, func(n *corev1.Node) { n.Name = node.Name })
	report(t, gateway, holds(3))
	stored(t, node.Name, "it is there", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) == 3 })
	m.Stop()
	cluster.Delete(t, again)
	other := onNode(t, node.Name)
	newest := cluster.Node(t, func(n *corev1.Node) { n.Name = node.Name })
	m = cluster.StartManager(t)
	report(t, m.GatewayFor(t, cluster, other), holds(1))
	s := stored(t, node.Name, "only what the new node holds is there", func(s *v1alpha1.NodeStore) bool {
		return items(s, other.Namespace) == 1 && items(s, p.Namespace) < 0
	})
	if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].UID != newest.UID {
		t.Errorf("owner: %+v", s.OwnerReferences)
	}
}

func TestPromise9AReportReachesOnlyItsNamespaceAndNode(t *testing.T) {
	m := cluster.StartManager(t)
	node := cluster.Node(t)
	mine, other := onNode(t, node.Name), onNode(t, node.Name)
	report(t, m.GatewayFor(t, cluster, other), holds(2))
	evil := holds(0)
	for range 256 {
		evil.Snapshots = append(evil.Snapshots, &gatewayv1alpha1.StoredSnapshot{
			Id: fmt.Sprintf("%040x", len(evil.GetSnapshots())), Marks: []string{"x", fmt.Sprintf("%032x", 1)}, Source: "\x1b[2J\n",
			Path: "../../" + string(make([]byte, 1500)), Bytes: 1 << 63, Pods: 1 << 31, Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS,
		})
	}
	hostile := m.GatewayFor(t, cluster, mine)
	report(t, hostile, evil)
	s := stored(t, node.Name, "both are there", func(s *v1alpha1.NodeStore) bool { return items(s, mine.Namespace) == 256 })
	if got := items(s, other.Namespace); got != 2 {
		t.Errorf("another namespace's entry has %d snapshots, want its own 2", got)
	}
	if s.Status.Items != 258 || s.Status.Bytes < 0 {
		t.Errorf("totals: %d items, %d bytes", s.Status.Items, s.Status.Bytes)
	}

	for what, spoil := range map[string]func(*gatewayv1alpha1.ReportStoreRequest){
		"too many": func(r *gatewayv1alpha1.ReportStoreRequest) {
			r.Snapshots = append(r.Snapshots, &gatewayv1alpha1.StoredSnapshot{})
		},
		"too long": func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].Path = strings.Repeat("p", 5000) },
		"too large": func(r *gatewayv1alpha1.ReportStoreRequest) {
			for _, s := range r.GetSnapshots() {
				s.Path = strings.Repeat("p", 4000)
			}
		},
	} {
		more := proto.CloneOf(evil)
		spoil(more)
		_, err := hostile.ReportStore(t.Context(), connect.NewRequest(more))
		if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "256 times") &&
			!strings.Contains(err.Error(), "bytes are allowed") && !strings.Contains(err.Error(), "at most 4096") {
			t.Errorf("%s: %v, want the limit", what, err)
		}
	}

	own := cluster.Pod(t, mine.Namespace, "own", "web", func(p *corev1.Pod) { p.Spec.NodeName = node.Name })
	if _, err := m.GatewayFor(t, cluster, own).ReportStore(t.Context(),
		connect.NewRequest(holds(1))); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a pod with a store of its own: %v", err)
	}
	// A pod without a node has a token that names none.
	unplaced := cluster.Pod(t, mine.Namespace, "unplaced", "web", func(p *corev1.Pod) {
		p.Spec.NodeName = ""
		p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StoreNode
	})
	if _, err := m.GatewayFor(t, cluster, unplaced).ReportStore(t.Context(),
		connect.NewRequest(holds(1))); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a report from no node: %v", err)
	}
	nameless := holds(1)
	nameless.StoreId = ""
	gateway := m.GatewayFor(t, cluster, mine)
	if _, err := gateway.ReportStore(t.Context(), connect.NewRequest(nameless)); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a report of no store: %v", err)
	}
	limited := false
	for range 100 {
		_, err := gateway.ReportStore(t.Context(), connect.NewRequest(nameless))
		limited = limited || connect.CodeOf(err) == connect.CodeResourceExhausted
	}
	if !limited {
		t.Error("one pod may report as often as it likes")
	}
}
