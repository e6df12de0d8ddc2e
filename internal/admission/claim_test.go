// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// admit handles a request as the server does, and returns the pod as it is then.
func admit(t *testing.T, pods *Pods, pod *corev1.Pod) (admission.Response, *corev1.Pod) {
	t.Helper()
	req := create(t, pod)
	resp := disclaimer{pods}.Handle(t.Context(), req)
	raw := req.Object.Raw
	if len(resp.Patch) > 0 {
		patch, err := jsonpatch.DecodePatch(resp.Patch)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err = patch.Apply(raw); err != nil {
			t.Fatal(err)
		}
	}
	after := &corev1.Pod{}
	if err := json.Unmarshal(raw, after); err != nil {
		t.Fatal(err)
	}
	return resp, after
}

// TestKudasAnnotationsAreRemovedFromAPodThatIsNotInjected admits pods that bring the annotation and a
// container of the runtime's name, for each reason not to inject one.
func TestKudasAnnotationsAreRemovedFromAPodThatIsNotInjected(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"no DataSet selects it": func(p *corev1.Pod) { p.Labels = nil },
		"it has opted out":      func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled },
		"it is left alone":      func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"it stands in the way": func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: sidecar.VolumeStore, MountPath: "/store"}}
		},
	} {
		p := replica()
		p.Annotations = map[string]string{"example.com/own": "x", v1alpha1.AnnotationInjected: "model", v1alpha1.AnnotationStore: "node",
			v1alpha1.AnnotationPlacement: "n=1"}
		p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName, Image: "evil:1",
			RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
		change(p)
		resp, after := admit(t, handler(t, shop("shop")...), p)
		if !resp.Allowed || len(after.Annotations) != 1 || after.Annotations["example.com/own"] != "x" {
			t.Errorf("%s: allowed %t, annotations %v", name, resp.Allowed, after.Annotations)
		}
		if !slices.ContainsFunc(resp.Warnings, func(w string) bool { return strings.Contains(w, v1alpha1.AnnotationInjected) }) {
			t.Errorf("%s: its creator is not told: %q", name, resp.Warnings)
		}
	}
	// A pod that bears the reason of an earlier try is injected like any other.
	again := replica()
	again.Annotations = map[string]string{v1alpha1.AnnotationNotInjected: "too tight"}
	if _, after := admit(t, handler(t, shop("shop")...), again); after.Annotations[v1alpha1.AnnotationNotInjected] != "" ||
		after.Annotations[v1alpha1.AnnotationInjected] != "model" {
		t.Errorf("a pod that was not injected before: %v", after.Annotations)
	}
	resp, after := admit(t, handler(t, shop("shop")...), replica())
	if !resp.Allowed || after.Annotations[v1alpha1.AnnotationInjected] != "model" || len(resp.Warnings) != 0 {
		t.Errorf("a pod that is injected: %v, %q", after.Annotations, resp.Warnings)
	}
}

func TestAWarningNamesTheStoreOfAPodThatSharesItsProcesses(t *testing.T) {
	p := replica()
	p.Spec.ShareProcessNamespace = new(true)
	resp, after := admit(t, handler(t, shop("shop")...), p)
	if !resp.Allowed || after.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod || len(resp.Warnings) != 1 {
		t.Errorf("annotations %v, warnings %q", after.Annotations, resp.Warnings)
	}
}

func TestAPodMarkedAsNotInjectedHasNoInjectedAnnotation(t *testing.T) {
	p := replica()
	p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "model", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
	p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tight"}, Spec: corev1.LimitRangeSpec{
		Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: p.Spec.Containers[0].Resources.Limits}},
	}}
	resp, after := admit(t, handler(t, append(shop("shop"), limits)...), p)
	if !resp.Allowed || len(after.Annotations) != 1 || !strings.Contains(after.Annotations[v1alpha1.AnnotationNotInjected],
		"LimitRange tight") || len(resp.Warnings) != 2 {
		t.Errorf("annotations %v, warnings %q", after.Annotations, resp.Warnings)
	}
}

// ending is a cache that has heard of a namespace's end, and not of the one that was
// made after it.
type ending struct{ client.Reader }

func (e ending) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := e.Reader.Get(ctx, key, o, options...); err != nil {
		return err
	}
	o.SetUID("earlier")
	o.SetDeletionTimestamp(&metav1.Time{})
	return nil
}

func TestTheStoreOfANamespaceThatEndsIsNotGivenOut(t *testing.T) {
	h := handler(t, shop("shop")...)
	h.Cache = ending{h.Cache}
	_, after := admit(t, h, replica())
	if got := after.Spec.Containers[0].VolumeMounts; len(got) != 1 || !strings.HasPrefix(got[0].SubPathExpr, uid+"/") {
		t.Errorf("mounts: %+v", got)
	}
}
