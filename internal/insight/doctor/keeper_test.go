// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func aNode(name, boot string, ready time.Duration) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		NodeInfo: corev1.NodeSystemInfo{BootID: boot},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(now.Add(-ready))}},
	}}
}

// aStore is what was said of a node in its boot b five minutes ago.
func aStore(name, namespace string) *v1alpha1.NodeStore {
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Status.Stores = []v1alpha1.NamespaceStore{{
		Namespace: namespace, StoreID: "store", BootID: "b", ObservedTime: metav1.NewTime(now.Add(-5 * time.Minute)),
	}}
	return s
}

// withKeeper is a store whose keeper reported a while ago.
func withKeeper(s *v1alpha1.NodeStore, ago time.Duration) *v1alpha1.NodeStore {
	s.Status.Keeper = &v1alpha1.KeeperStatus{PodName: "kuda-node-x", ObservedTime: metav1.NewTime(now.Add(-ago))}
	return s
}

func TestKeepersAreJudged(t *testing.T) {
	damaged := withKeeper(aStore("n1", "shop"), time.Minute)
	damaged.Status.Stores[0].Damaged = []v1alpha1.SnapshotDamage{
		{ID: "aa", Message: "file: its bytes differ", FoundTime: metav1.NewTime(now.Add(-time.Hour))},
		{ID: "bb", Message: "long ago", FoundTime: metav1.NewTime(now.Add(-48 * time.Hour))}}
	unreadable := withKeeper(aStore("n1", "shop"), time.Minute)
	unreadable.Status.Stores[0].Unreadable = "the snapshots: not a directory"
	for name, c := range map[string]struct {
		store *v1alpha1.NodeStore
		node  *corev1.Node
		want  string
	}{
		"no keeper": {aStore("n1", "shop"), aNode("n1", "b", time.Hour), ""},
		"reporting": {withKeeper(aStore("n1", "shop"), time.Minute), aNode("n1", "b", time.Hour), "1 keeper reported"},
		"silent": {withKeeper(aStore("n1", "shop"), time.Hour), aNode("n1", "b", 2*time.Hour),
			"pod kuda-node/kuda-node-x, has not reported for 1h"},
		"the node is just back": {withKeeper(aStore("n1", "shop"), time.Hour), aNode("n1", "b", time.Minute), ""},
		"the node is gone":      {withKeeper(aStore("n1", "shop"), time.Hour), aNode("n2", "b", time.Hour), ""},
		"damaged": {damaged, aNode("n1", "b", time.Hour),
			"not what was delivered: 1 snapshot in shop; the last one: file: its bytes differ"},
		"unreadable": {unreadable, aNode("n1", "b", time.Hour),
			"stores cannot be read as a whole: shop (the snapshots: not a directory)"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &installation{now: now}
			in.holdings.stores.value = []v1alpha1.NodeStore{*c.store}
			in.holdings.nodes.value = []corev1.Node{*c.node}
			var got []string
			for _, f := range checkKeepers(in) {
				got = append(got, f.What)
			}
			if text := strings.Join(got, "\n"); c.want == "" && text != "" || !strings.Contains(text, c.want) {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}
