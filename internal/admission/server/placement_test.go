// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/placement"
)

// hold makes the node's NodeStore say that the namespace has a template's data there.
func hold(t *testing.T, node, namespace string, template v1alpha1.DataTemplateSpec) *v1alpha1.NodeStore {
	t.Helper()
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: node}}
	if err := admin.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(admin.Delete(context.WithoutCancel(t.Context()), s)); err != nil {
			t.Error(err)
		}
	})
	have := v1alpha1.NamespaceStore{Namespace: namespace, StoreID: "s"}
	for _, mark := range placement.Marks(template) {
		have.Snapshots = append(have.Snapshots, v1alpha1.StoredSnapshot{ID: mark, Marks: []string{mark}, Bytes: 1 << 30,
			Phase: v1alpha1.SnapshotComplete})
	}
	s.Status.Stores = []v1alpha1.NamespaceStore{have}
	if err := admin.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// placed waits until new pods of the namespace prefer these nodes, and returns one.
func placed(t *testing.T, ns, want string, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	eventually(t, "pods prefer "+want, func(ctx context.Context) (bool, error) {
		pod = replica(ns)
		for _, c := range change {
			c(pod)
		}
		err := admin.Create(ctx, pod, client.DryRunAll)
		return pod.Annotations[v1alpha1.AnnotationPlacement] == want, err
	})
	return pod
}

// rules are a pod's own, of every kind.
func rules(p *corev1.Pod) {
	self := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "search"}}
	p.Spec.NodeSelector = map[string]string{"kubernetes.io/arch": "amd64"}
	p.Spec.Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: self,
	}}
	p.Spec.Affinity = &corev1.Affinity{
		PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: self, TopologyKey: corev1.LabelHostname,
		}}},
		NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpNotIn,
					Values: []string{"node-a"}}},
			}}},
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 10, Preference: corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpExists}},
			}}},
		},
	}
}

func TestAPreferenceKeepsTheSchedulingRulesOfAPod(t *testing.T) {
	startWebhook(t)
	ns := prepare(t, nil)
	hold(t, "node-a", ns, dataSet(ns).Spec.Template)
	plain := placed(t, ns, "node-a=100")
	if terms := plain.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution; len(terms) != 1 || terms[0].Weight != 100 {
		t.Errorf("got terms %v", terms)
	}

	want := replica(ns)
	rules(want)
	got := placed(t, ns, "node-a=9", rules)
	terms := &got.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	if len(*terms) != 2 {
		t.Fatalf("got terms %v", *terms)
	}
	*terms = (*terms)[:1]
	if diff := cmp.Diff(want.Spec.Affinity, got.Spec.Affinity) +
		cmp.Diff(want.Spec.TopologySpreadConstraints, got.Spec.TopologySpreadConstraints) +
		cmp.Diff(want.Spec.NodeSelector, got.Spec.NodeSelector) + cmp.Diff(want.Spec.Tolerations, got.Spec.Tolerations[:1]); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	if got.Spec.SchedulerName != corev1.DefaultSchedulerName {
		t.Errorf("scheduler %q", got.Spec.SchedulerName)
	}
}

func TestPreferencesFollowWhatNodesHold(t *testing.T) {
	startWebhook(t)
	ns := prepare(t, nil)
	template := dataSet(ns).Spec.Template
	first := hold(t, "node-a", ns, template)
	placed(t, ns, "node-a=100")
	hold(t, "node-b", ns, template)
	placed(t, ns, "node-a=100,node-b=100")
	if err := admin.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	placed(t, ns, "node-b=100")
	other := prepare(t, nil)
	placed(t, other, "")

	// While a rollout runs, new pods get the stable revision: it is read with the
	// rights of the webhook.
	ds := &v1alpha1.DataSet{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "model"}, ds); err != nil {
		t.Fatal(err)
	}
	r, err := revision.New(ds, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	ds.Spec.Template.DataItems[0].Version = "v2"
	if err := admin.Update(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	placed(t, ns, "")
	ds.Status = v1alpha1.DataSetStatus{ObservedGeneration: ds.Generation, CurrentRevision: r.Name, UpdateRevision: "next"}
	if err := admin.Status().Update(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	placed(t, ns, "node-b=100")
}

func TestTheConfiguredSchedulerReplacesOnlyTheDefaultScheduler(t *testing.T) {
	startWebhook(t, "schedulerName: kuda-scheduler", "enableAffinity: false")
	ns := prepare(t, nil)
	hold(t, "node-a", ns, dataSet(ns).Spec.Template)
	for scheduler, want := range map[string]string{"": "kuda-scheduler", "default-scheduler": "kuda-scheduler", "volcano": "volcano"} {
		pod := replica(ns)
		pod.Spec.SchedulerName = scheduler
		if err := admin.Create(t.Context(), pod, client.DryRunAll); err != nil || pod.Spec.SchedulerName != want || pod.Spec.Affinity != nil {
			t.Errorf("%q: got %v, scheduler %q, affinity %v", scheduler, err, pod.Spec.SchedulerName, pod.Spec.Affinity)
		}
	}
}

// warnings are those that the API server gives.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, text)
}

func TestPlacementRequireWithoutASchedulerGetsAWarning(t *testing.T) {
	startWebhook(t)
	heard := &warnings{}
	c := rest.CopyConfig(apiConfig)
	c.WarningHandler = heard
	warned, err := client.New(c, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	ds := dataSet(namespace(t, nil))
	ds.Spec.Placement = v1alpha1.PlacementRequire
	if err := warned.Create(t.Context(), ds); err != nil {
		t.Fatal(err)
	}
	if len(heard.all) != 1 || !strings.Contains(heard.all[0], "Require needs kuda-scheduler") {
		t.Errorf("got %q", heard.all)
	}
}

func TestPodsAreCreatedWhileNodeStoresCannotBeRead(t *testing.T) {
	restore := withoutRule(t, "kuda-webhook", "nodestores")
	startWebhook(t)
	ns := prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	hold(t, "node-a", ns, dataSet(ns).Spec.Template)
	pod := replica(ns)
	if err := admin.Create(t.Context(), pod); err != nil || !injected(pod) || pod.Spec.Affinity != nil {
		t.Errorf("got %v, affinity %v", err, pod.Spec.Affinity)
	}
	restore()
	placed(t, ns, "node-a=100")
}

// withoutRule takes the rule for a resource out of a ClusterRole, and returns
// what puts it back.
func withoutRule(t *testing.T, name, resource string) func() {
	t.Helper()
	role := clusterRole(t, name)
	full := role.DeepCopy()
	kept := role.Rules[:0]
	for _, rule := range role.Rules {
		if len(rule.Resources) != 1 || rule.Resources[0] != resource {
			kept = append(kept, rule)
		}
	}
	if len(kept) == len(full.Rules) {
		t.Fatalf("ClusterRole %s has no rule for %s", name, resource)
	}
	role.Rules = kept
	if err := admin.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	// The authorizer hears of it a little later.
	reader := as(t, name)
	eventually(t, "the right is gone", func(ctx context.Context) (bool, error) {
		return apierrors.IsForbidden(reader.List(ctx, &v1alpha1.NodeStoreList{})), nil
	})
	restored := false
	restore := func() {
		if restored {
			return
		}
		restored = true
		current := clusterRole(t, name)
		current.Rules = full.Rules
		if err := admin.Update(context.WithoutCancel(t.Context()), current); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

func clusterRole(t *testing.T, name string) *rbacv1.ClusterRole {
	t.Helper()
	role := &rbacv1.ClusterRole{}
	if err := admin.Get(context.WithoutCancel(t.Context()), client.ObjectKey{Name: name}, role); err != nil {
		t.Fatal(err)
	}
	return role
}
