// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// requiredBy are labels of namespaces that mean that injection is required.
var requiredBy = []string{v1alpha1.InjectionRequired, "Required", "REQUIRED", "true", ""}

func TestAPodThatADataSetSelectsCannotEvadeRequiredInjection(t *testing.T) {
	startWebhook(t)
	for _, value := range requiredBy {
		ns := prepare(t, map[string]string{v1alpha1.LabelInjection: value})
		for name, evade := range map[string]func(*corev1.Pod){
			"opted out":                 func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled },
			"labelled as a preheat pod": func(p *corev1.Pod) { p.Labels[v1alpha1.LabelPreheat] = "other" },
			"on the node's network":     func(p *corev1.Pod) { p.Spec.HostNetwork = true },
			"of another system": func(p *corev1.Pod) {
				p.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: string(corev1.Windows)}
			},
			"with a name": func(p *corev1.Pod) {
				p.GenerateName, p.Name, p.Labels[v1alpha1.LabelInjection] = "", "named", v1alpha1.InjectionDisabled
			},
		} {
			pod := replica(ns)
			evade(pod)
			err := admin.Create(t.Context(), pod, client.DryRunAll)
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "kuda.io/injection=required") {
				t.Errorf("namespace labelled %q, pod %s: got %v", value, name, err)
			}
			delete(pod.Labels, "app")
			if err := admin.Create(t.Context(), pod, client.DryRunAll); err != nil {
				t.Errorf("namespace labelled %q, pod %s that no DataSet selects: %v", value, name, err)
			}
		}
	}
}

func TestTheRefusalOfAPodThatOptsOutNamesBothLabels(t *testing.T) {
	startWebhook(t)
	pod := replica(prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired}))
	pod.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
	err := admin.Create(t.Context(), pod)
	for _, want := range []string{"kuda.io/injection=required", "kuda.io/injection=disabled", "DataSet model"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s named", err, want)
		}
	}
}

func TestLabelsOfARunningPodCannotEvadeRequiredInjection(t *testing.T) {
	w := startWebhook(t)
	ns := prepare(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	other, selected := replica(ns), replica(ns)
	other.Labels = map[string]string{"app": "other"}
	for _, pod := range []*corev1.Pod{other, selected} {
		if err := admin.Create(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	change := func(pod *corev1.Pod, f func(*metav1.ObjectMeta)) error {
		changed := pod.DeepCopy()
		f(&changed.ObjectMeta)
		return admin.Patch(t.Context(), changed, client.MergeFrom(pod))
	}
	for name, err := range map[string]error{
		"comes to be selected": change(other, func(m *metav1.ObjectMeta) { m.Labels["app"] = "search" }),
		"opts out":             change(selected, func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled }),
		"hides":                change(selected, func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.LabelPreheat] = "x" }),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("a running pod that %s: got %v", name, err)
		}
	}
	// A user who may write the status of a pod may write its labels by that.
	reported := other.DeepCopy()
	reported.Labels["app"] = "search"
	if err := admin.Status().Patch(t.Context(), reported, client.MergeFrom(other)); !apierrors.IsForbidden(err) {
		t.Errorf("a running pod that comes to be selected by a change of its status: got %v", err)
	}
	if err := change(selected, func(m *metav1.ObjectMeta) { m.Labels["tier"] = "front" }); err != nil {
		t.Errorf("a label that nothing selects by: %v", err)
	}
	// What is no change of labels never waits for the webhook.
	w.stop()
	if err := change(other, func(m *metav1.ObjectMeta) { m.Annotations = map[string]string{"a": "b"} }); err != nil {
		t.Errorf("an annotation while the webhook is away: %v", err)
	}
	started := other.DeepCopy()
	started.Status.Phase = corev1.PodRunning
	if err := admin.Status().Patch(t.Context(), started, client.MergeFrom(other)); err != nil {
		t.Errorf("a status while the webhook is away: %v", err)
	}
	for _, pod := range []*corev1.Pod{other, selected} {
		if err := admin.Delete(t.Context(), pod); err != nil {
			t.Errorf("deleting while the webhook is away: %v", err)
		}
	}
}

func TestANameThatBeginsLikeAnExcludedNamespaceExcludesNothing(t *testing.T) {
	startWebhook(t)
	for _, name := range []string{"kube-system-shop", "kuda-systems", "xkube-system"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name,
			Labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired}}}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}}
		for _, object := range []client.Object{ns, account, dataSet(name)} {
			if err := admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
		pod := replica(name)
		pod.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
		if err := admin.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
