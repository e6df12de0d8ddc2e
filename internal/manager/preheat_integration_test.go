// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/placement"
)

// rack is a group of nodes of one test, with what their schedulers, kubelets and
// runtimes do to the pods that preheat them.
type rack struct {
	t         *testing.T
	namespace string
	label     map[string]string

	mu sync.Mutex
	m  *managertest.Manager
	// pods that were seen, by UID, with their nodes.
	seen map[string]string
	most int
}

func newRack(t *testing.T, m *managertest.Manager, nodes ...string) *rack {
	t.Helper()
	r := &rack{t: t, m: m, namespace: cluster.Namespace(t), seen: map[string]string{}}
	r.label = map[string]string{"kuda.test/rack": r.namespace}
	for _, name := range nodes {
		r.addNode(name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(30 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			r.runPods(ctx)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// nodeName makes the nodes of each test its own.
func (r *rack) nodeName(node string) string { return r.namespace + "-" + node }

func (r *rack) addNode(name string) {
	r.t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: r.nodeName(name), Labels: r.label}}
	if err := cluster.Client.Create(r.t.Context(), n); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = client.IgnoreNotFound(cluster.Client.Delete(context.Background(), n)) })
	n.Status.NodeInfo.BootID = "boot-1"
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
	if err := cluster.Client.Status().Update(r.t.Context(), n); err != nil {
		r.t.Fatal(err)
	}
	// A new node has this taint until the node controller finds it Ready.
	managertest.Edit(r.t, cluster, n, func(n *corev1.Node) { n.Spec.Taints = nil })
}

func (r *rack) listPods(ctx context.Context) []corev1.Pod {
	var list corev1.PodList
	if err := cluster.Client.List(ctx, &list, client.InNamespace(r.namespace), client.HasLabels{v1alpha1.LabelPreheat}); err != nil {
		return nil
	}
	return list.Items
}

// runPods does what is next with each pod.
func (r *rack) runPods(ctx context.Context) {
	pods := r.listPods(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	working := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	r.most = max(r.most, len(working))
	for i := range pods {
		p := &pods[i]
		node := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
		switch {
		case p.DeletionTimestamp != nil:
			_ = cluster.Client.Delete(ctx, p, client.GracePeriodSeconds(0))
		case r.seen[string(p.UID)] == "":
			binding := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: node}}
			if cluster.Client.SubResource("binding").Create(ctx, p, binding) == nil {
				r.seen[string(p.UID)] = node
				if r.m != nil {
					r.m.StartRuntime(r.t, cluster, p, p.Labels[v1alpha1.LabelPreheat])
				}
			}
		case p.Status.Phase == corev1.PodPending && r.hasData(ctx, p):
			p.Status.Phase = corev1.PodSucceeded
			_ = cluster.Client.Status().Update(ctx, p)
		}
	}
}

func (r *rack) hasData(ctx context.Context, p *corev1.Pod) bool {
	datas, err := cluster.Datas(ctx, r.namespace)
	return err == nil && slices.ContainsFunc(datas, func(d v1alpha1.Data) bool {
		return assignment.PodUID(&d) == p.UID && assignment.Delivered(&d)
	})
}

// createPreheat makes a DataSet whose data is to be on the rack.
func (r *rack) createPreheat(change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	r.t.Helper()
	return cluster.DataSet(r.t, r.namespace, "one", "web", append([]func(*v1alpha1.DataSet){func(d *v1alpha1.DataSet) {
		d.Spec.Preheat = &v1alpha1.Preheat{NodeSelector: r.label}
	}}, change...)...)
}

// waitReady waits until as many nodes are ready and no pod is left.
func (r *rack) waitReady(d *v1alpha1.DataSet, ready int32) v1alpha1.DataSetStatus {
	r.t.Helper()
	s := status(r.t, d, fmt.Sprintf("%d nodes are ready", ready), func(s v1alpha1.DataSetStatus) bool {
		return s.Preheat != nil && s.Preheat.Ready == ready && s.Preheat.Desired == ready && s.Preheat.Revision == s.UpdateRevision
	})
	r.checkNone("no pod and no Data is left")
	return s
}

func (r *rack) checkNone(what string) {
	r.t.Helper()
	managertest.Eventually(r.t, what, func(ctx context.Context) (bool, error) {
		datas, err := cluster.Datas(ctx, r.namespace)
		return len(r.listPods(ctx))+len(datas) == 0, err
	})
}

func (r *rack) countMade() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

func forReason(want string) func(v1alpha1.DataSetStatus) bool {
	return func(s v1alpha1.DataSetStatus) bool { return reason(s, v1alpha1.ConditionPreheated) == want }
}

func TestEachNodeThatTakesPodsIsPreheated(t *testing.T) {
	m := cluster.StartManager(t)
	r := newRack(t, m, "a", "b", "c", "d", "e")
	cordoned := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: r.nodeName("e")}}
	managertest.Edit(t, cluster, cordoned, func(n *corev1.Node) { n.Spec.Unschedulable = true })
	cluster.StartWebhook(t, r.namespace)
	// What selects the labels of Kuda's pods is not to have them.
	greedy := cluster.DataSet(t, r.namespace, "greedy", "web", func(d *v1alpha1.DataSet) {
		d.Spec.WorkloadSelector = map[string]string{"app.kubernetes.io/managed-by": "kuda"}
	})
	hook := &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"reload"}}}
	d := r.createPreheat(func(d *v1alpha1.DataSet) {
		d.Spec.Template.Lifecycle = &v1alpha1.Lifecycle{PostDownload: hook}
		d.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
	})
	s := r.waitReady(d, 4)
	if s.Replicas != 0 || s.UninjectedReplicas != 0 || reason(s, v1alpha1.ConditionReady) != v1alpha1.ReasonNoPods {
		t.Errorf("the preheat's pods count as replicas: %+v", s)
	}
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionPreheated); c.Status != metav1.ConditionTrue ||
		c.ObservedGeneration == 0 {
		t.Errorf("Preheated: %+v", c)
	}
	if r.most > 3 || r.countMade() != 4 {
		t.Errorf("%d pods at a time, %d in all", r.most, r.countMade())
	}
	if got := value(t, m, "kuda_preheat_nodes", "phase", "ready"); got != 4 {
		t.Errorf("kuda_preheat_nodes{phase=ready} = %v", got)
	}
	other := status(t, greedy, "the other DataSet was looked at", func(v1alpha1.DataSetStatus) bool { return true })
	if other.Replicas+other.UninjectedReplicas != 0 {
		t.Errorf("another DataSet counts them: %+v", other)
	}
	managertest.Edit(t, cluster, cordoned, func(n *corev1.Node) { n.Spec.Unschedulable = false })
	r.waitReady(d, 5)
	managertest.Edit(t, cluster, d, version("v2"))
	s = r.waitReady(d, 5)
	if r.countMade() != 10 {
		t.Errorf("%d pods were made for 5 nodes and 2 revisions", r.countMade())
	}
	cluster.Delete(t, cordoned)
	r.waitReady(d, 4)
	events, err := cluster.Events(t.Context(), d)
	if err != nil || !slices.ContainsFunc(events, func(e corev1.Event) bool { return e.Reason == v1alpha1.EventPreheated }) {
		t.Errorf("no event says that nodes are preheated (%v)", err)
	}
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Preheat = nil })
	status(t, d, "nothing of it is left", func(s v1alpha1.DataSetStatus) bool { return s.Preheat == nil && forReason("")(s) })
}

func TestAPreheatPodBelongsToItsDataSetAndWaitsForItsData(t *testing.T) {
	cluster.StartManager(t)
	r := newRack(t, nil, "a") // no runtime answers
	cluster.StartWebhook(t, r.namespace)
	d := r.createPreheat(func(d *v1alpha1.DataSet) {
		d.Spec.Template.DataItems[0].Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"reload"}},
		}}
		d.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
	})
	var datas []v1alpha1.Data
	managertest.Eventually(t, "there is a Data", func(ctx context.Context) (bool, error) {
		var err error
		datas, err = cluster.Datas(ctx, r.namespace)
		return len(datas) == 1, err
	})
	p, data := r.listPods(t.Context())[0], datas[0]
	if !metav1.IsControlledBy(&p, d) || p.Spec.Containers[0].Image != managertest.RuntimeImage || p.Spec.AutomountServiceAccountToken == nil ||
		*p.Spec.AutomountServiceAccountToken {
		t.Errorf("the pod: %+v", p)
	}
	env := p.Spec.InitContainers[0].Env
	if !slices.ContainsFunc(env, func(e corev1.EnvVar) bool { return e.Name == "KUDA_WAIT_FOR" && e.Value == "one" }) {
		t.Errorf("the pod does not wait for the data: %v", env)
	}
	if data.Labels[v1alpha1.LabelDataSet] != "" || assignment.DataSet(&data) != "one" || data.Spec.DataItems[0].Lifecycle != nil ||
		data.Spec.PodName != p.Name {
		t.Errorf("the Data: %+v", data)
	}
	s := status(t, d, "the node is shown", func(s v1alpha1.DataSetStatus) bool { return s.Preheat != nil && len(s.Preheat.Nodes) == 1 })
	if s.Preheat.Nodes[0].Phase != v1alpha1.PreheatPending || reason(s, v1alpha1.ConditionPreheated) != v1alpha1.ReasonPreheating {
		t.Errorf("preheat: %+v", s.Preheat)
	}
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Preheat = nil })
	r.checkNone("the pod goes with the wish")
}

func TestAFailedPreheatIsShown(t *testing.T) {
	m := cluster.StartManager(t)
	r := newRack(t, m, "a", "b")
	cluster.StartWebhook(t, r.namespace)
	d := r.createPreheat(version(managertest.BrokenVersion))
	s := status(t, d, "both failed", func(s v1alpha1.DataSetStatus) bool { return s.Preheat != nil && s.Preheat.Failed == 2 })
	if n := s.Preheat.Nodes[0]; n.Reason != v1alpha1.ReasonNotFound || n.Message == "" || n.Time == nil {
		t.Errorf("node: %+v", n)
	}
	if got := reason(s, v1alpha1.ConditionPreheated); got != v1alpha1.ReasonPreheatFailed {
		t.Errorf("Preheated: %s", got)
	}
	r.checkNone("failed pods are not kept")
	managertest.Edit(t, cluster, d, version("v2"))
	r.waitReady(d, 2)
}

func TestTheNextLeaderKeepsThePreheatedNodes(t *testing.T) {
	m := cluster.StartManager(t)
	r := newRack(t, m, "a", "b", "c")
	cluster.StartWebhook(t, r.namespace)
	one := int32(1)
	d := r.createPreheat(func(d *v1alpha1.DataSet) { d.Spec.Preheat.Replicas = &one })
	chosen := r.waitReady(d, 1).Preheat.Nodes[0].Node
	m.Stop()
	made := r.countMade()
	next := cluster.StartManager(t)
	r.mu.Lock()
	r.m = next
	r.mu.Unlock()
	two := int32(2)
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Preheat.Replicas = &two })
	s := r.waitReady(d, 2)
	if r.countMade() != made+1 || !slices.ContainsFunc(s.Preheat.Nodes, func(n v1alpha1.PreheatNodeStatus) bool { return n.Node == chosen }) {
		t.Errorf("%d pods were made before, %d now; %s was chosen: %+v", made, r.countMade(), chosen, s.Preheat)
	}
	// A drained node's seat goes to another.
	managertest.Edit(t, cluster, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: chosen}},
		func(n *corev1.Node) { n.Spec.Unschedulable = true })
	status(t, d, "another node has the seat", func(s v1alpha1.DataSetStatus) bool {
		return s.Preheat.Ready == 2 && !slices.ContainsFunc(s.Preheat.Nodes, func(n v1alpha1.PreheatNodeStatus) bool { return n.Node == chosen })
	})
}

func TestANodeThatHasTheDataGetsNoPod(t *testing.T) {
	m := cluster.StartManager(t)
	r := newRack(t, m, "a", "b")
	cluster.StartWebhook(t, r.namespace)
	d := cluster.DataSet(t, r.namespace, "one", "web")
	s := r.storeOf("a", placement.Marks(d.Spec.Template))
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Preheat = &v1alpha1.Preheat{NodeSelector: r.label} })
	r.waitReady(d, 2)
	if r.countMade() != 1 {
		t.Errorf("%d pods were made for the node that lacks the data", r.countMade())
	}
	managertest.Eventually(t, "the data went", func(ctx context.Context) (bool, error) {
		if err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return false, err
		}
		s.Status.Stores[0].Snapshots, s.Status.Stores[0].ObservedTime = nil, metav1.Now()
		return cluster.Client.Status().Update(ctx, s) == nil, nil
	})
	managertest.Eventually(t, "the node gets a pod", func(context.Context) (bool, error) { return r.countMade() == 2, nil })
	r.waitReady(d, 2)
}

// storeOf says that a node holds data for a preheat.
func (r *rack) storeOf(node string, marks []string) *v1alpha1.NodeStore {
	r.t.Helper()
	var n corev1.Node
	if err := cluster.Client.Get(r.t.Context(), client.ObjectKey{Name: r.nodeName(node)}, &n); err != nil {
		r.t.Fatal(err)
	}
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: n.Name, OwnerReferences: []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID,
	}}}}
	if err := cluster.Client.Create(r.t.Context(), s); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = client.IgnoreNotFound(cluster.Client.Delete(context.Background(), s)) })
	s.Status.Stores = []v1alpha1.NamespaceStore{{
		Namespace: r.namespace, StoreID: "s", BootID: n.Status.NodeInfo.BootID, ObservedTime: metav1.Now(),
		Snapshots: []v1alpha1.StoredSnapshot{{ID: "x", Marks: marks, Bytes: 10, Phase: v1alpha1.SnapshotComplete, Preheated: true}},
	}}
	if err := cluster.Client.Status().Update(r.t.Context(), s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestAPreheatThatCannotStartSaysWhy(t *testing.T) {
	cluster.StartManager(t)
	r := newRack(t, nil, "a")
	d := r.createPreheat()
	s := status(t, d, "the webhook is missed", forReason(v1alpha1.ReasonPodsNotInjected))
	if s.Preheat.Desired != 1 || r.countMade() != 0 || len(r.listPods(t.Context())) != 0 {
		t.Errorf("%d pods were made in vain: %+v", r.countMade(), s.Preheat)
	}
	cluster.StartWebhook(t, r.namespace)
	managertest.Edit(t, cluster, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}, func(n *corev1.Namespace) {
		n.Labels["pod-security.kubernetes.io/enforce"] = "baseline"
	})
	again := func() { managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Paused = !d.Spec.Paused }) }
	again()
	status(t, d, "the store is missed", forReason(v1alpha1.ReasonNoNodeStore))
	if r.countMade() != 0 {
		t.Errorf("%d pods were made in vain", r.countMade())
	}
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Preheat.NodeSelector = map[string]string{"no": "node"} })
	s = status(t, d, "nodes are missed", forReason(v1alpha1.ReasonNoNodes))
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionPreheated); !strings.Contains(c.Message, "no=node") {
		t.Errorf("Preheated: %+v", c)
	}
}

func TestAPreheatThatIsForbiddenSaysWhy(t *testing.T) {
	m := cluster.StartManager(t)
	r := newRack(t, m, "a")
	cluster.StartWebhook(t, r.namespace)
	binding := &unstructured.Unstructured{}
	binding.SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"))
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: "kuda-manager-preheat"}, binding); err != nil {
		t.Fatal(err)
	}
	cluster.Delete(t, binding)
	restore := func() {
		restored := binding.DeepCopy()
		restored.SetResourceVersion("")
		restored.SetUID("")
		if err := cluster.Client.Create(context.Background(), restored); err != nil {
			t.Error(err)
		}
	}
	// A user with the right gets as far as the policy, which refuses this pod.
	may := func(ctx context.Context) bool {
		err := m.Direct.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: r.namespace},
			Spec:       corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "probe", Image: "probe"}}},
		}, client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "kuda-manager-pods")
	}
	managertest.Eventually(t, "the right is gone", func(ctx context.Context) (bool, error) { return !may(ctx), nil })
	d := r.createPreheat()
	s := status(t, d, "the right is missed", forReason(v1alpha1.ReasonForbidden))
	if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionPreheated); !strings.Contains(c.Message, "pods") {
		t.Errorf("Preheated: %+v", c)
	}
	restore()
	managertest.Eventually(t, "the right is back", func(ctx context.Context) (bool, error) { return may(ctx), nil })
	managertest.Edit(t, cluster, d, version("v2"))
	r.waitReady(d, 1)
}

func TestAPreheatThatIsSwitchedOffSaysWhy(t *testing.T) {
	cluster.StartManager(t, func(o *manager.Options) { o.Preheat = false })
	r := newRack(t, nil, "a")
	d := r.createPreheat()
	s := status(t, d, "it is said", forReason(v1alpha1.ReasonPreheatOff))
	if s.Preheat != nil || r.countMade() != 0 {
		t.Errorf("preheat: %+v", s.Preheat)
	}
}
