// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func lifecycle(pre, post string) *v1alpha1.Lifecycle {
	handler := func(word string) *v1alpha1.LifecycleHandler {
		return &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{word}}}
	}
	return &v1alpha1.Lifecycle{PreDownload: handler(pre), PostDownload: handler(post)}
}

func TestPromise9OnlyDeclaredCommandsRun(t *testing.T) {
	spec := v1alpha1.DataSpec{
		Lifecycle: lifecycle("set-pre", "set-post"),
		DataItems: []v1alpha1.DataItem{
			{Namespace: "default", Name: "m", Container: "side", Lifecycle: lifecycle("m-pre", "m-post")},
			{Namespace: "default", Name: "bare"},
			{Namespace: "default", Name: "web",
				Lifecycle: &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{}}}},
		},
	}
	const pre, post = gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD, gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD
	for name, c := range map[string]struct {
		namespace, item string
		point           gatewayv1alpha1.HookPoint
		want, container string
	}{
		"the DataSet's":          {"", "", pre, "set-pre", ""},
		"an item's":              {"default", "m", post, "m-post", "side"},
		"an item without hooks":  {"default", "bare", post, "", ""},
		"an item with HTTP hook": {"default", "web", post, "", ""},
		"an unknown item":        {"default", "x", post, "", ""},
		"half a name":            {"", "m", post, "", ""},
		"no point":               {"default", "m", 0, "", ""},
		"an unknown point":       {"default", "m", 99, "", ""},
	} {
		d, err := Find(spec, &gatewayv1alpha1.RunHookRequest{ItemNamespace: c.namespace, ItemName: c.item, Point: c.point})
		if c.want == "" {
			if !errors.Is(err, ErrNotDeclared) {
				t.Errorf("%s: found %v, %v", name, d, err)
			}
			continue
		}
		if err != nil || !slices.Equal(d.Command, []string{c.want}) || d.Container != c.container {
			t.Errorf("%s: found %+v, %v, want %s in %q", name, d, err, c.want, c.container)
		}
	}
}

func TestHooksRunInContainersOfTheApplicationOnly(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	injected := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0", Annotations: map[string]string{v1alpha1.AnnotationInjected: "model"}},
		Spec: corev1.PodSpec{
			InitContainers:      []corev1.Container{{Name: "kuda-plugin-sftp"}, {Name: sidecar.ContainerName}, {Name: "mesh"}},
			Containers:          []corev1.Container{{Name: "app"}, {Name: "late"}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}}},
		},
		Status: corev1.PodStatus{
			InitContainerStatuses: []corev1.ContainerStatus{
				{Name: "kuda-plugin-sftp", State: running}, {Name: sidecar.ContainerName, State: running}, {Name: "mesh", State: running},
			},
			ContainerStatuses:          []corev1.ContainerStatus{{Name: "app", State: running}, {Name: "late"}},
			EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: "debugger", State: running}},
		},
	}
	for name, c := range map[string]struct {
		container, want string
		err             error
		change          func(*corev1.Pod)
	}{
		"the first without a name":       {"", "app", nil, nil},
		"by name":                        {"app", "app", nil, nil},
		"not started":                    {"late", "", ErrNotRunning, nil},
		"not there":                      {"x", "", ErrNoContainer, nil},
		"the runtime with its secrets":   {sidecar.ContainerName, "", ErrNoContainer, nil},
		"a plugin with its secrets":      {"kuda-plugin-sftp", "", ErrNoContainer, nil},
		"an init container":              {"mesh", "", ErrNoContainer, nil},
		"an ephemeral container":         {"debugger", "", ErrNoContainer, nil},
		"a pod that says it is injected": {"app", "", ErrNoContainer, func(p *corev1.Pod) { p.Spec.InitContainers = nil }},
		"a pod with a copied runtime":    {"app", "", ErrNoContainer, func(p *corev1.Pod) { p.Annotations = nil }},
		"a pod of the cluster's own":     {"app", "", ErrNoContainer, func(p *corev1.Pod) { p.Namespace = "kube-system" }},
		"a pod of Kuda's own":            {"app", "", ErrNoContainer, func(p *corev1.Pod) { p.Namespace = "kuda-system" }},
		"a container with a name of Kuda": {"", "", ErrNoContainer, func(p *corev1.Pod) {
			p.Spec.Containers[0].Name, p.Status.ContainerStatuses[0].Name = "kuda-plugin-x", "kuda-plugin-x"
		}},
	} {
		p := injected.DeepCopy()
		if c.change != nil {
			c.change(p)
		}
		got, err := Container(p, Declared{Container: c.container})
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v, want %q, %v", name, got, err, c.want, c.err)
		}
	}
}

func TestOnlyTheEndOfTheOutputIsKept(t *testing.T) {
	var out tail
	for range 100 {
		if n, err := out.Write([]byte(strings.Repeat("x", 100))); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := out.Write([]byte("the end")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); len(got) != tailLength || !strings.HasSuffix(got, "xthe end") {
		t.Errorf("kept %d bytes, ending in %q", len(got), got[len(got)-10:])
	}
	if _, err := out.Write([]byte(strings.Repeat("y", 3*tailLength))); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != strings.Repeat("y", tailLength) {
		t.Error("a large write is not cut to its end")
	}
}
