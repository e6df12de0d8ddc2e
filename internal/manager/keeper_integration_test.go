// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/pki/gatewayca"
)

const nodeNamespace = "kuda-node"

// withKeepers hears keepers of an account that only this test has.
func withKeepers(account string) func(*manager.Options) {
	return func(o *manager.Options) { o.Keeper = identity.Account{Namespace: nodeNamespace, Name: account} }
}

// keeperOn makes the pod of a keeper on a node.
func keeperOn(t *testing.T, node, account string) *corev1.Pod {
	t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: nodeNamespace, Name: account}}
	if err := cluster.Client.Create(t.Context(), sa); err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: nodeNamespace, Name: account},
		Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: account, Containers: []corev1.Container{{Name: "keeper", Image: "keeper"}}}}
	if err := cluster.Client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, o := range []client.Object{p, sa} {
			if err := client.IgnoreNotFound(cluster.Client.Delete(context.Background(), o)); err != nil {
				t.Error(err)
			}
		}
	})
	return p
}

// uidOf returns the UID of a namespace.
func uidOf(t *testing.T, namespace string) string {
	t.Helper()
	var n corev1.Namespace
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: namespace}, &n); err != nil {
		t.Fatal(err)
	}
	return string(n.UID)
}

func TestAKeeperSpeaksForItsNodeAndPodsNoLongerDo(t *testing.T) {
	const account = "keeper-speaks"
	m := cluster.StartManager(t, withKeepers(account))
	node := cluster.Node(t)
	p := onNode(t, node.Name)
	pod := m.GatewayFor(t, cluster, p)
	report(t, pod, holds(1))
	keeper := m.GatewayFor(t, cluster, keeperOn(t, node.Name, account))

	directory := &gatewayv1alpha1.StoreDirectory{Namespace: p.Namespace, Uid: uidOf(t, p.Namespace)}
	contents := holds(3)
	contents.StoreId = "store-2"
	r := &gatewayv1alpha1.ReportNodeRequest{KeeperVersion: "v1", Directories: []*gatewayv1alpha1.StoreDirectory{directory},
		Stores: []*gatewayv1alpha1.StoreContents{{Directory: directory, Contents: contents}}}
	r.Damages = []*gatewayv1alpha1.Damage{{Directory: directory, Snapshot: contents.GetSnapshots()[0].GetId(),
		File: "weights.bin", Message: "differs",
		Outcome: gatewayv1alpha1.DamageOutcome_DAMAGE_OUTCOME_REMOVED}}
	if _, err := keeper.ReportNode(t.Context(), connect.NewRequest(r)); err != nil {
		t.Fatalf("the keeper reports: %v", err)
	}
	s := stored(t, node.Name, "the keeper's word counts", func(s *v1alpha1.NodeStore) bool {
		return items(s, p.Namespace) == 3 && s.Status.Keeper != nil && s.Status.Keeper.PodName == account
	})
	if len(s.Status.Stores[0].Damaged) != 1 || s.Status.Stores[0].NamespaceUID != directory.GetUid() {
		t.Errorf("the store is %+v", s.Status.Stores[0])
	}
	managertest.Eventually(t, "the damage is told", func(ctx context.Context) (bool, error) {
		events, err := cluster.Events(ctx, s)
		for i := range events {
			if events[i].Reason == v1alpha1.EventSnapshotDamaged && strings.Contains(events[i].Message, "weights.bin") {
				return true, nil
			}
		}
		return false, err
	})
	managertest.Eventually(t, "the pod's word no longer counts", func(ctx context.Context) (bool, error) {
		_, err := pod.ReportStore(ctx, connect.NewRequest(holds(1)))
		return connect.CodeOf(err) == connect.CodePermissionDenied, nil
	})
	for name, call := range map[string]func() error{
		"a pod as keeper": func() error {
			_, err := pod.ReportNode(t.Context(), connect.NewRequest(r))
			return err
		},
		"the keeper as pod": func() error {
			_, err := keeper.ReportStore(t.Context(), connect.NewRequest(holds(1)))
			return err
		},
	} {
		if err := call(); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeeperHearsOfNamespacesThatAreGone(t *testing.T) {
	const account = "keeper-hears"
	m := cluster.StartManager(t, withKeepers(account))
	node := cluster.Node(t)
	kept, goes := cluster.Namespace(t), cluster.Namespace(t)
	keeper := m.GatewayFor(t, cluster, keeperOn(t, node.Name, account))
	asked := &gatewayv1alpha1.WatchNodeRequest{Directories: []*gatewayv1alpha1.StoreDirectory{
		{Namespace: kept, Uid: uidOf(t, kept)}, {Namespace: goes, Uid: uidOf(t, goes)},
		{Namespace: kept, Uid: "00000000-0000-0000-0000-000000000000"}}}
	stream, err := keeper.WatchNode(t.Context(), connect.NewRequest(asked))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	next := func() *gatewayv1alpha1.WatchNodeResponse {
		t.Helper()
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		return stream.Msg()
	}
	first := next()
	if len(first.GetGone()) != 1 || first.GetGone()[0].GetUid() != asked.GetDirectories()[2].GetUid() || len(first.GetPreheats()) != 2 {
		t.Errorf("first told %v", first)
	}
	if string(first.GetCaBundle()) != string(m.Bundle()) {
		t.Error("the certificates are not announced")
	}
	cluster.Vanish(t, goes)
	for m := next(); ; m = next() {
		gone := map[string]bool{}
		for _, d := range m.GetGone() {
			gone[d.GetNamespace()+" "+d.GetUid()] = true
		}
		if gone[kept+" "+asked.GetDirectories()[0].GetUid()] {
			t.Fatal("a namespace that is there is said to be gone")
		}
		if gone[goes+" "+asked.GetDirectories()[1].GetUid()] {
			break
		}
	}
}

func TestTheCertificatesOfTheGatewayArePublishedForKeepers(t *testing.T) {
	m := cluster.StartManager(t, withKeepers("keeper-trusts"))
	managertest.Eventually(t, "the ConfigMap has the bundle", func(ctx context.Context) (bool, error) {
		var c corev1.ConfigMap
		err := cluster.Client.Get(ctx, client.ObjectKey{Namespace: nodeNamespace, Name: gatewayca.ConfigMap}, &c)
		return c.Data[gatewayca.Key] == string(m.Bundle()), err
	})
}

func TestAKeeperThatIsSilentLeavesItsNodeToThePods(t *testing.T) {
	const account = "keeper-silent"
	m := cluster.StartManager(t, withKeepers(account))
	node := cluster.Node(t)
	p := onNode(t, node.Name)
	keeper := m.GatewayFor(t, cluster, keeperOn(t, node.Name, account))
	if _, err := keeper.ReportNode(t.Context(), connect.NewRequest(&gatewayv1alpha1.ReportNodeRequest{})); err != nil {
		t.Fatal(err)
	}
	s := stored(t, node.Name, "the keeper reported", func(s *v1alpha1.NodeStore) bool { return s.Status.Keeper != nil })
	s.Status.Keeper.ObservedTime = metav1.NewTime(time.Now().Add(-v1alpha1.KeeperTrust - time.Minute))
	if err := cluster.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	pod := m.GatewayFor(t, cluster, p)
	managertest.Eventually(t, "the pod's word counts again", func(ctx context.Context) (bool, error) {
		_, err := pod.ReportStore(ctx, connect.NewRequest(holds(1)))
		return err == nil, nil
	})
	stored(t, node.Name, "what the pod said", func(s *v1alpha1.NodeStore) bool { return items(s, p.Namespace) == 1 })
}
