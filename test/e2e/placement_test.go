// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	kudaScheduler = "kuda-scheduler"
	// placedSize is a snapshot that is worth going to.
	placedSize = 1 << 30
)

// placedPod is a pod of a DataSet that waits, for a scheduler.
func placedPod(namespace, name, app, scheduler string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := pod(namespace, name, app, "wait")
	p.Spec.SchedulerName = scheduler
	for _, c := range change {
		c(p)
	}
	return p
}

// seed delivers a DataSet to one node, by a pod that is gone afterwards, and
// waits until the NodeStore says what the node holds.
func seed(t *testing.T, ds *v1alpha1.DataSet, node string) {
	t.Helper()
	create(t, placedPod(ds.Namespace, "seed", ds.Name, "", func(p *corev1.Pod) { p.Spec.NodeName = node }))
	waitDelivered(t, ds, 1, 2*time.Minute)
	waitHolders(t, ds, 10*time.Second, node)
	removePod(t, ds.Namespace, "seed")
}

func removePod(t *testing.T, namespace, name string) {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := kube.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(p), p); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("pod %s is still there (%w)", name, err)
		}
		return nil
	})
}

// holders lists the nodes whose NodeStore has a version of the DataSet's
// namespace complete, and the bytes.
func holders(ctx context.Context, namespace, version string) (map[string]int64, error) {
	var list v1alpha1.NodeStoreList
	if err := kube.List(ctx, &list); err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for _, n := range list.Items {
		for _, s := range n.Status.Stores {
			for _, snapshot := range s.Snapshots {
				if s.Namespace == namespace && snapshot.Version == version && snapshot.Phase == v1alpha1.SnapshotComplete {
					found[n.Name] += snapshot.Bytes
				}
			}
		}
	}
	return found, nil
}

// waitHolders waits until exactly these nodes hold the DataSet's first item.
func waitHolders(t *testing.T, ds *v1alpha1.DataSet, timeout time.Duration, nodes ...string) {
	t.Helper()
	version := ds.Spec.Template.DataItems[0].Version
	eventually(t, timeout, func(ctx context.Context) error {
		found, err := holders(ctx, ds.Namespace, version)
		if err != nil {
			return err
		}
		if len(found) != len(nodes) {
			return fmt.Errorf("%v hold version %s, want %v", found, version, nodes)
		}
		for _, node := range nodes {
			if found[node] == 0 {
				return fmt.Errorf("%v hold version %s, want %v", found, version, nodes)
			}
		}
		return nil
	})
}

// nodeOf waits until a pod has a node.
func nodeOf(t *testing.T, p *corev1.Pod) string {
	t.Helper()
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if p.Spec.NodeName == "" {
			return fmt.Errorf("pod %s has no node: %v", p.Name, p.Status.Conditions)
		}
		return nil
	})
	return p.Spec.NodeName
}

// TestThirtyPodsGoToTheNodeThatHoldsTheirData creates 30 pods in ten batches, while
// 1 GiB of theirs is on one node of three: with Kuda's scheduler, with the
// webhook's affinity alone, and with neither.
func TestThirtyPodsGoToTheNodeThatHoldsTheirData(t *testing.T) {
	const batches, batch, holder = 10, 3, "node2"
	for _, arm := range []struct {
		name, scheduler string
		policy          v1alpha1.PlacementPolicy
		// least is how many percent are to be on the holder.
		least int
	}{
		{"scheduler", kudaScheduler, v1alpha1.PlacementPrefer, 95},
		{"affinity", "", v1alpha1.PlacementPrefer, 80},
		{"neither", "", v1alpha1.PlacementIgnore, 0},
	} {
		t.Run(arm.name, func(t *testing.T) {
			ns := newNamespace(t, nil)
			key := "placed/" + arm.name + ".bin"
			store.putLarge(t, key, placedSize)
			ds := dataSet(ns, "placed", item("model", key, "v1"))
			ds.Spec.Placement = arm.policy
			create(t, ds)
			seed(t, ds, holder)
			before := store.served(key).bytes
			on := map[string]int{}
			for i := range batches {
				var made []*corev1.Pod
				for j := range batch {
					p := placedPod(ns, fmt.Sprintf("p%d-%d", i, j), "placed", arm.scheduler)
					if arm.name == "affinity" {
						p.Spec.SchedulerName = corev1.DefaultSchedulerName
					}
					create(t, p)
					made = append(made, p)
				}
				for _, p := range made {
					on[nodeOf(t, p)]++
				}
			}
			waitDelivered(t, ds, batches*batch, 3*time.Minute)
			downloaded := store.served(key).bytes - before
			share := 100 * on[holder] / (batches * batch)
			t.Logf("%s: %d %% of %d pods on the holder (%v); %d MiB were downloaded", arm.name, share, batches*batch, on, downloaded>>20)
			if share < arm.least {
				t.Errorf("%d %% of the pods are on the node that holds their data, want at least %d %%: %v", share, arm.least, on)
			}
			if elsewhere := int64(len(on) - 1); downloaded > elsewhere*placedSize*101/100 {
				t.Errorf("%d bytes were downloaded, for %d further nodes", downloaded, elsewhere)
			}
		})
	}
}

// TestPreferenceBreaksNoRuleOfThePod holds that a pod's own rules win over the
// data, with either scheduler.
func TestPreferenceBreaksNoRuleOfThePod(t *testing.T) {
	for name, scheduler := range map[string]string{"kuda": kudaScheduler, "default": corev1.DefaultSchedulerName} {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t, nil)
			store.putLarge(t, "rules/x", 32<<20)
			ds := dataSet(ns, "rules", item("x", "rules/x", "v1"))
			create(t, ds)
			seed(t, ds, "node2")
			own := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "rules", "group": "apart"}}
			apart := map[string]int{}
			for i := range 3 {
				p := placedPod(ns, fmt.Sprintf("apart-%d", i), "rules", scheduler, func(p *corev1.Pod) {
					p.Labels["group"] = "apart"
					p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
						RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: own, TopologyKey: corev1.LabelHostname}}}}
				})
				create(t, p)
				apart[nodeOf(t, p)]++
			}
			if len(apart) != 3 {
				t.Errorf("pods that must be apart are on %v", apart)
			}
			spread := map[string]int{}
			for i := range 6 {
				p := placedPod(ns, fmt.Sprintf("spread-%d", i), "rules", scheduler, func(p *corev1.Pod) {
					p.Labels["group"] = "spread"
					p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname,
						WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"group": "spread"}}}}
				})
				create(t, p)
				spread[nodeOf(t, p)]++
			}
			if len(spread) != 3 || spread["node1"] != 2 || spread["node2"] != 2 {
				t.Errorf("pods with a skew of at most 1 are on %v", spread)
			}
			kubectl(t, "taint", "node", "node2", "e2e=taken:NoSchedule")
			t.Cleanup(func() { _, _ = tryKubectl("taint", "node", "node2", "e2e-") })
			p := placedPod(ns, "untolerating", "rules", scheduler)
			create(t, p)
			if node := nodeOf(t, p); node == "node2" {
				t.Errorf("a pod that does not tolerate the taint is on %s", node)
			}
			kubectl(t, "taint", "node", "node2", "e2e-")
			p = placedPod(ns, "selecting", "rules", scheduler,
				func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "node3"} })
			create(t, p)
			if node := nodeOf(t, p); node != "node3" {
				t.Errorf("a pod that selects node3 is on %s", node)
			}
		})
	}
}

// TestRequireWaitsForThePreheat holds that a pod that requires its data waits, is
// told what is missing and what to do, and goes where a preheat brought it.
func TestRequireWaitsForThePreheat(t *testing.T) {
	const holder = "node3"
	ns := newNamespace(t, nil)
	store.putLarge(t, "required/model.bin", 64<<20)
	ds := dataSet(ns, "required", item("model", "required/model.bin", "v1"))
	ds.Spec.Placement = v1alpha1.PlacementRequire
	create(t, ds)
	p := placedPod(ns, "waits", "required", kudaScheduler)
	create(t, p)
	eventually(t, 30*time.Second, func(context.Context) error {
		out, err := tryKubectl("-n", ns, "get", "events", "--field-selector", "reason=FailedScheduling,involvedObject.name=waits", "-o",
			"jsonpath={.items[*].message}")
		if err != nil {
			return err
		}
		for _, word := range []string{"e2e/model", "v1", "required", "preheat"} {
			if !strings.Contains(out, word) {
				return fmt.Errorf("the pod's events do not say %q: %s", word, out)
			}
		}
		t.Logf("the pod's event: %s", out)
		return nil
	})
	began := time.Now()
	update(t, ds, func() {
		ds.Spec.Preheat = &v1alpha1.Preheat{NodeSelector: map[string]string{corev1.LabelHostname: holder}}
	})
	if node := nodeOf(t, p); node != holder {
		t.Errorf("the pod is on %s, its data on %s", node, holder)
	}
	t.Logf("placed %s after the preheat was asked for", time.Since(began).Round(time.Millisecond))
	waitDelivered(t, ds, 1, time.Minute)
	if got := store.served("required/model.bin").bytes; !isDownloaded(got, 64<<20, 1) {
		t.Errorf("%d bytes were downloaded, want one download", got)
	}
}

// TestSchedulerKilledInTheMiddleLeavesNoPodUnplaced kills the schedulers again and
// again while pods are created.
func TestSchedulerKilledInTheMiddleLeavesNoPodUnplaced(t *testing.T) {
	const n = 60
	ns := newNamespace(t, nil)
	store.put(t, "killed/x", []byte(delivered))
	ds := dataSet(ns, "killed", item("x", "killed/x", "v1"))
	create(t, ds)
	killed := 0
	for i := range n {
		create(t, placedPod(ns, fmt.Sprintf("p%d", i), "killed", kudaScheduler))
		if i%15 == 7 {
			killed += kill(t, "kuda-scheduler", "")
		}
	}
	// The kubelet lets those that die again and again wait.
	if killed < 2 {
		t.Errorf("%d schedulers were killed, want both replicas at least", killed)
	}
	eventually(t, 3*time.Minute, func(context.Context) error {
		for _, p := range pods(t, ns, "killed") {
			if p.Spec.NodeName == "" {
				return fmt.Errorf("pod %s has no node", p.Name)
			}
		}
		return nil
	})
	waitDelivered(t, ds, n, 3*time.Minute)
}

// storeOf is what a NodeStore says of a namespace, or nil.
func storeOf(ctx context.Context, node, namespace string) (*v1alpha1.NamespaceStore, error) {
	var n v1alpha1.NodeStore
	if err := kube.Get(ctx, client.ObjectKey{Name: node}, &n); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	for i := range n.Status.Stores {
		if n.Status.Stores[i].Namespace == namespace {
			return &n.Status.Stores[i], nil
		}
	}
	return nil, nil
}

// TestNodeStoreFollowsItsNode wipes a node, and removes it. One namespace has a
// pod there, the other only what a pod has left.
func TestNodeStoreFollowsItsNode(t *testing.T) {
	const node = "node3"
	lived, left := newNamespace(t, nil), newNamespace(t, nil)
	store.put(t, "wiped/x", []byte(delivered))
	sets := map[string]*v1alpha1.DataSet{}
	for _, ns := range []string{lived, left} {
		sets[ns] = dataSet(ns, "wiped", item("x", "wiped/x", "v1"))
		create(t, sets[ns])
		seed(t, sets[ns], node)
	}
	create(t, placedPod(lived, "stays", "wiped", "", func(p *corev1.Pod) { p.Spec.NodeName = node }))
	waitDelivered(t, sets[lived], 1, time.Minute)
	before, err := storeOf(t.Context(), node, lived)
	if err != nil || before == nil {
		t.Fatalf("NodeStore %s says nothing of %s: %v", node, lived, err)
	}

	t.Cleanup(func() { clusterCommand(t, "node", "start", node) })
	clusterCommand(t, "node", "wipe", node)
	clusterCommand(t, "node", "start", node)
	back := time.Now()
	eventually(t, reportPatience, func(ctx context.Context) error {
		if s, err := storeOf(ctx, node, left); err != nil || s != nil && len(s.Snapshots) > 0 {
			return fmt.Errorf("it is said to hold what was wiped: %+v (%w)", s, err)
		}
		s, err := storeOf(ctx, node, lived)
		switch {
		case err != nil:
			return err
		case s != nil && s.StoreID == before.StoreID:
			return fmt.Errorf("it is said to have the store that was wiped: %+v", s)
		case s == nil:
			return errors.New("the store of the pod that runs is not shown")
		}
		return nil
	})
	t.Logf("right %s after the wiped node was back", time.Since(back).Round(time.Millisecond))
	waitDelivered(t, sets[lived], 1, time.Minute)
	waitHolders(t, sets[lived], reportPatience, node)

	clusterCommand(t, "node", "kill", node)
	kubectl(t, "delete", "node", node)
	gone := time.Now()
	eventually(t, 10*time.Second, func(ctx context.Context) error {
		var n v1alpha1.NodeStore
		if err := kube.Get(ctx, client.ObjectKey{Name: node}, &n); err == nil {
			return errors.New("the NodeStore is still there")
		} else if client.IgnoreNotFound(err) != nil {
			return err
		}
		return nil
	})
	t.Logf("the NodeStore of the removed node went after %s", time.Since(gone).Round(time.Millisecond))
	// What follows is to find a webhook that answers every call.
	clusterCommand(t, "node", "start", node)
	componentRuns(t, "kuda-webhook", 2)
}

// TestPreheatFollowsRevisionsAndNodes holds that preheated data is there before
// any pod is, for each new revision, on as many nodes as asked for.
func TestPreheatFollowsRevisionsAndNodes(t *testing.T) {
	ns := newNamespace(t, nil)
	// Of other lengths: equal bytes are linked, not downloaded.
	const first, second = 32 << 20, 33 << 20
	store.putLarge(t, "preheat/v1.bin", first)
	store.putLarge(t, "preheat/v2.bin", second)
	ds := dataSet(ns, "preheat", item("model", "preheat/v1.bin", "v1"))
	ds.Spec.Preheat = &v1alpha1.Preheat{Replicas: ptr.To[int32](2)}
	create(t, ds)
	ready := func(n int32) {
		t.Helper()
		eventually(t, 2*time.Minute, func(ctx context.Context) error {
			if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); err != nil {
				return err
			}
			s := ds.Status.Preheat
			if s == nil || s.Desired != n || s.Ready != n {
				return fmt.Errorf("preheat: %+v", s)
			}
			if found, err := holders(ctx, ns, ds.Spec.Template.DataItems[0].Version); err != nil || len(found) != int(n) {
				return fmt.Errorf("the NodeStores say %v (%w)", found, err)
			}
			var left corev1.PodList
			if err := kube.List(ctx, &left, client.InNamespace(ns)); err != nil || len(left.Items) > 0 {
				return fmt.Errorf("%d pods are left (%w)", len(left.Items), err)
			}
			return nil
		})
	}
	ready(2)
	if ds.Status.Replicas != 0 || ds.Status.UninjectedReplicas != 0 {
		t.Errorf("the preheat's pods count as replicas: %+v", ds.Status)
	}
	setVersion(t, ds, 0, "v2", "preheat/v2.bin")
	ready(2)
	if got := store.served("preheat/v2.bin").bytes; !isDownloaded(got, second, 2) {
		t.Errorf("%d bytes of the second version were downloaded, want one download for each of 2 nodes", got)
	}
	drained := ds.Status.Preheat.Nodes[0].Node
	kubectl(t, "cordon", drained)
	t.Cleanup(func() { _, _ = tryKubectl("uncordon", drained) })
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		s := ds.Status.Preheat
		for _, n := range s.Nodes {
			if n.Node == drained {
				return fmt.Errorf("the cordoned node still counts: %+v", s)
			}
		}
		if s.Desired != 2 || s.Ready != 2 {
			return fmt.Errorf("preheat: %+v", s)
		}
		return nil
	})
	kubectl(t, "uncordon", drained)
	// The pods start without a download.
	before := store.served("preheat/v2.bin").bytes
	d := deployment(ns, "preheat", 3, "wait")
	d.Spec.Template.Spec.SchedulerName = kudaScheduler
	create(t, d)
	waitDelivered(t, ds, 3, time.Minute)
	if got := store.served("preheat/v2.bin").bytes; got != before {
		t.Errorf("%d bytes were downloaded for pods on preheated nodes", got-before)
	}
}
