// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"encoding/json"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
)

func TestAPodThatEvadesRequiredInjectionIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		evade func(*corev1.Pod)
		want  string
	}{
		"opted out": {func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled },
			"kuda.io/injection=disabled"},
		"labelled as a preheat pod": {func(p *corev1.Pod) { p.Labels[v1alpha1.LabelPreheat] = "other" }, v1alpha1.LabelPreheat},
		"preheat and opted out": {func(p *corev1.Pod) {
			p.Labels[v1alpha1.LabelPreheat], p.Labels[v1alpha1.LabelInjection] = "x", v1alpha1.InjectionDisabled
		}, v1alpha1.LabelPreheat},
		"on the node's network": {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "hostNetwork"},
		"marked as a mirror":    {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }, "static pods"},
		"of another system":     {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "Windows"},
		"selecting another system": {func(p *corev1.Pod) {
			p.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: string(corev1.Windows)}
		}, "Windows"},
		"with too many containers": {func(p *corev1.Pod) {
			p.Spec.InitContainers = make([]corev1.Container, inject.MaxContainers)
		}, "257 containers"},
		"without a container": {func(p *corev1.Pod) { p.Spec.Containers = nil }, "no container"},
		"with a mount in the way": {func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "x", MountPath: "/kuda/data"}}
		}, "mounts volume x"},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, shop("shop")...)
			h.Required = true
			pod := replica()
			c.evade(pod)
			resp := h.Handle(t.Context(), create(t, pod))
			if resp.Allowed || !strings.Contains(resp.Result.Message, c.want) ||
				!strings.Contains(resp.Result.Message, "kuda.io/injection=required") {
				t.Errorf("got %t, %v", resp.Allowed, resp.Result)
			}
			// The same pod is left alone where no DataSet selects it.
			delete(pod.Labels, "app")
			if resp := h.Handle(t.Context(), create(t, pod)); !resp.Allowed {
				t.Errorf("not selected: %v", resp.Result)
			}
		})
	}
}

func TestAPreheatPodOfTheManagersIsInjectedWhereInjectionIsRequired(t *testing.T) {
	h := handler(t, shop("shop")...)
	h.Required = true
	pod := replica()
	pod.Labels = map[string]string{v1alpha1.LabelPreheat: "model"}
	if resp := h.Handle(t.Context(), create(t, pod)); !resp.Allowed || len(resp.Patch) == 0 {
		t.Errorf("got %+v", resp)
	}
}

func TestUnreadableDataSetsRefuseAPodWhereInjectionIsRequired(t *testing.T) {
	h := handler(t, shop("shop")...)
	h.Live, h.Required = blind{}, true
	other := replica()
	other.Labels = map[string]string{"app": "other"}
	// A DataSet that the cache has not heard of might select it.
	if resp := h.Handle(t.Context(), create(t, other)); resp.Allowed {
		t.Error("the cache alone decided")
	}
}

func relabelled(t *testing.T, last, next map[string]string) admission.Request {
	t.Helper()
	raw := func(labels map[string]string) runtime.RawExtension {
		content, err := json.Marshal(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: labels}})
		if err != nil {
			t.Fatal(err)
		}
		return runtime.RawExtension{Raw: content}
	}
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Namespace: "shop", Operation: admissionv1.Update, Object: raw(next), OldObject: raw(last),
	}}
}

func TestLabelsThatEvadeRequiredInjectionLaterAreRefused(t *testing.T) {
	app := map[string]string{"app": "search"}
	with := func(key, value string) map[string]string { return map[string]string{"app": "search", key: value} }
	for name, c := range map[string]struct {
		last, next map[string]string
		refused    string
	}{
		"comes to be selected":             {nil, app, "create the pod anew"},
		"comes to be selected by a change": {map[string]string{"app": "x"}, app, "create the pod anew"},
		"opts out later":                   {app, with(v1alpha1.LabelInjection, v1alpha1.InjectionDisabled), "kuda.io/injection=disabled"},
		"hides as a preheat pod":           {app, with(v1alpha1.LabelPreheat, "other"), v1alpha1.LabelPreheat},
		"becomes a preheat pod":            {nil, map[string]string{v1alpha1.LabelPreheat: "model"}, "create the pod anew"},
		"gets a label of its own":          {app, with("tier", "front"), ""},
		"is selected no longer":            {app, map[string]string{"app": "quarantine"}, ""},
		"stays without data":               {nil, map[string]string{"tier": "front"}, ""},
		"opts in":                          {with(v1alpha1.LabelInjection, v1alpha1.InjectionDisabled), app, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, shop("shop")...)
			if resp := h.Handle(t.Context(), relabelled(t, c.last, c.next)); !resp.Allowed {
				t.Errorf("where injection is not required: %v", resp.Result)
			}
			h.Required = true
			resp := h.Handle(t.Context(), relabelled(t, c.last, c.next))
			if resp.Allowed != (c.refused == "") || !resp.Allowed && !strings.Contains(resp.Result.Message, c.refused) {
				t.Errorf("got %t, %v", resp.Allowed, resp.Result)
			}
		})
	}
}
