// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package inject

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/apiservertest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// startAPIServer starts an API server with the policies of the installation.
func startAPIServer(t *testing.T) (*rest.Config, client.Client) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	config, stop, err := apiservertest.Start(&envtest.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"identity.yaml", "runtime.yaml"} {
		createFrom(t, c, "../../deploy/base/store/"+file)
	}
	return config, c
}

// createFrom creates the objects of a manifest.
func createFrom(t *testing.T, c client.Client, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content))
	for {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if err := c.Create(t.Context(), &object); err != nil {
			t.Fatalf("creating %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

// newNamespace makes a namespace and returns what the webhook knows of it.
func newNamespace(t *testing.T, c client.Client, labels map[string]string) Namespace {
	t.Helper()
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-", Labels: labels}}
	if err := c.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return Namespace{Name: n.Name, UID: n.UID, Labels: n.Labels}
}

// injectedIn is a pod as the webhook leaves it in a namespace.
func injectedIn(t *testing.T, n Namespace, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	req := request(pod(append([]func(*corev1.Pod){func(p *corev1.Pod) {
		p.Namespace, p.GenerateName, p.Spec.ServiceAccountName = n.Name, "search-", "default"
		p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "prepare:1"}}
	}}, change...)...))
	req.Namespace = n
	return mustInject(t, req)
}

// waitInForce waits until a policy refuses what it is to refuse.
func waitInForce(t *testing.T, policy string, try func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last != nil && strings.Contains(last.Error(), policy), nil
	})
	if err != nil {
		t.Fatalf("policy %s is not in force: %v", policy, last)
	}
}

// waitAdmitted waits until the policies admit what they are to admit.
func waitAdmitted(t *testing.T, try func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("it stays refused: %v", last)
	}
}

func TestThePolicyHoldsTheStoreToTheNamespacesIdentity(t *testing.T) {
	_, c := startAPIServer(t)
	n := newNamespace(t, c, nil)
	stale := n
	stale.UID = "6f0b1c52-4d0f-4c8e-9d55-0f4a2b7f1c11"
	waitInForce(t, "kuda-store-identity", func(ctx context.Context) error {
		return c.Create(ctx, injectedIn(t, stale), client.DryRunAll)
	})

	restricted := Namespace{Name: n.Name, UID: n.UID, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}}
	for name, p := range map[string]*corev1.Pod{
		"a node store":          injectedIn(t, n),
		"a pod store":           injectedIn(t, restricted),
		"not Kuda's":            pod(func(p *corev1.Pod) { p.Namespace, p.Spec.ServiceAccountName = n.Name, "default" }),
		"opted out":             pod(func(p *corev1.Pod) { p.Namespace = n.Name; p.Labels[v1alpha1.LabelInjection] = "disabled" }),
		"a runtime that is new": injectedIn(t, n, func(p *corev1.Pod) { p.Annotations = map[string]string{"x": "y"} }),
	} {
		p.Spec.ServiceAccountName = "default"
		if err := c.Create(t.Context(), p, client.DryRunAll); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}

	runtime := func(p *corev1.Pod) *corev1.Container { return &p.Spec.InitContainers[0] }
	setStoreRoot := func(value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			env := runtime(p).Env
			env[slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == sidecar.EnvStoreRoot })].Value = value
		}
	}
	for name, change := range map[string]func(*corev1.Pod){
		"another namespace's UID": setStoreRoot("/var/lib/kuda/" + string(stale.UID)),
		"the store of the name":   setStoreRoot("/var/lib/kuda"),
		"a way out of the UID":    setStoreRoot("/var/lib/kuda/" + string(n.UID) + "/../" + string(stale.UID)),
		"the view of another UID": func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts[0].SubPathExpr = string(stale.UID) + "/pods/$(KUDA_POD_UID)/view"
		},
		"the view of v0.1.0":      func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].SubPathExpr = sidecar.ViewSubPathExpr },
		"the view of another pod": func(p *corev1.Pod) { p.Spec.Containers[0].Env[0] = corev1.EnvVar{Name: "KUDA_POD_UID", Value: "x"} },
		"a second variable": func(p *corev1.Pod) {
			c := &p.Spec.Containers[0]
			c.Env = append(c.Env, corev1.EnvVar{Name: "KUDA_POD_UID", Value: "x"})
		},
		"a view to write in": func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].ReadOnly = false },
		"the whole store":    func(p *corev1.Pod) { m := &p.Spec.Containers[0].VolumeMounts[0]; m.SubPathExpr, m.MountPath = "", "/s" },
		"the store by subPath": func(p *corev1.Pod) {
			m := &p.Spec.Containers[0].VolumeMounts[0]
			m.SubPathExpr, m.SubPath = "", "snapshots"
		},
		"the whole store, init":      func(p *corev1.Pod) { p.Spec.InitContainers[1].VolumeMounts[0].SubPathExpr = "" },
		"another namespace's volume": func(p *corev1.Pod) { p.Spec.Volumes[0].HostPath.Path = "/var/lib/kuda/other" },
		"a volume of another kind": func(p *corev1.Pod) {
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}
		},
		"opted out, says injected": func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = "disabled" },
		"a claim without a store": func(p *corev1.Pod) {
			p.Labels[v1alpha1.LabelInjection] = "disabled"
			p.Spec.Volumes, p.Spec.InitContainers, p.Spec.Containers[0].VolumeMounts = nil, nil, nil
		},
		"no claim, a store by name": func(p *corev1.Pod) { p.Annotations = nil; p.Spec.Containers[0].VolumeMounts[0].SubPathExpr = "" },
	} {
		p := injectedIn(t, n)
		change(p)
		if err := c.Create(t.Context(), p, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "kuda-store-identity") {
			t.Errorf("%s: %v", name, err)
		}
	}
	disabled := newNamespace(t, c, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled})
	for _, out := range []Namespace{disabled, {Name: "kube-system", UID: namespaceUID(t, c, "kube-system")}} {
		if err := c.Create(t.Context(), injectedIn(t, out), client.DryRunAll); err == nil || !strings.Contains(err.Error(), "opted out") {
			t.Errorf("namespace %s: %v", out.Name, err)
		}
	}
}

// TestAPodThatOptsOutCannotBringItsOwnRuntime: where a namespace admits hostPath for Kuda's volume
// alone, a pod that opted out could otherwise write in the store.
func TestAPodThatOptsOutCannotBringItsOwnRuntime(t *testing.T) {
	_, c := startAPIServer(t)
	n := newNamespace(t, c, nil)
	own := func(change ...func(*corev1.Pod)) *corev1.Pod {
		p := injectedIn(t, n)
		p.Annotations, p.Spec.InitContainers[0].Image = nil, "evil:1"
		for _, f := range change {
			f(p)
		}
		return p
	}
	waitInForce(t, "kuda-store-identity", func(ctx context.Context) error { return c.Create(ctx, own(), client.DryRunAll) })
	optOut := func(p *corev1.Pod) { p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled }
	if err := c.Create(t.Context(), own(optOut), client.DryRunAll); err == nil || !strings.Contains(err.Error(), "kuda-store-identity") {
		t.Errorf("opted out: %v", err)
	}
}

func namespaceUID(t *testing.T, c client.Client, name string) types.UID {
	t.Helper()
	var n corev1.Namespace
	if err := c.Get(t.Context(), client.ObjectKey{Name: name}, &n); err != nil {
		t.Fatal(err)
	}
	return n.UID
}

func TestTheInjectionOfAPodCannotBeEdited(t *testing.T) {
	_, c := startAPIServer(t)
	n := newNamespace(t, c, nil)
	plain := pod(func(p *corev1.Pod) {
		p.Namespace, p.Spec.ServiceAccountName = n.Name, "default"
		p.Spec.InitContainers = []corev1.Container{{Name: sidecar.ContainerName, Image: "evil:1",
			RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
	})
	injected := injectedIn(t, n)
	for _, p := range []*corev1.Pod{plain, injected} {
		if err := c.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(ctx context.Context, p *corev1.Pod, change func(*corev1.Pod)) error {
		p = p.DeepCopy()
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		change(p)
		return c.Update(ctx, p, client.DryRunAll)
	}
	image := func(p *corev1.Pod) { p.Spec.InitContainers[0].Image = "evil:1" }
	waitInForce(t, "kuda-injected-pods", func(ctx context.Context) error { return edit(ctx, injected, image) })
	for name, c := range map[string]struct {
		of     *corev1.Pod
		change func(*corev1.Pod)
	}{
		"it says that it is injected": {plain, func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationInjected] = "model" }},
		"it says so of other data":    {injected, func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationInjected] = "other" }},
		"it denies it":                {injected, func(p *corev1.Pod) { delete(p.Annotations, v1alpha1.AnnotationInjected) }},
		"it names another store":      {injected, func(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationStore] = v1alpha1.StorePod }},
		"another image and no claim":  {injected, func(p *corev1.Pod) { image(p); p.Annotations = nil }},
	} {
		if err := edit(t.Context(), c.of, c.change); err == nil || !strings.Contains(err.Error(), "kuda-injected-pods") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A user who may write the status of a pod may write its annotations by that.
	for name, p := range map[string]*corev1.Pod{"plain": plain, "injected": injected} {
		p = p.DeepCopy()
		p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "other"}
		options := &client.SubResourceUpdateOptions{UpdateOptions: client.UpdateOptions{DryRun: []string{metav1.DryRunAll}}}
		if err := c.Status().Update(t.Context(), p, options); err == nil || !strings.Contains(err.Error(), "kuda-injected-pods") {
			t.Errorf("a status of the %s pod: %v, %v", name, p.Annotations, err)
		}
	}
	err := edit(t.Context(), injected, func(p *corev1.Pod) {
		p.Labels["x"], p.Annotations["x"], p.Spec.Containers[0].Image = "y", "y", "search:2"
	})
	if err != nil {
		t.Errorf("an edit of what is the application's is refused: %v", err)
	}
}

func TestNoContainerAndNoCommandIsAddedToTheRuntime(t *testing.T) {
	config, c := startAPIServer(t)
	n := newNamespace(t, c, nil)
	p := injectedIn(t, n)
	if err := c.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	add := func(ctx context.Context, change func(*corev1.EphemeralContainer)) error {
		with := p.DeepCopy()
		e := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: "debugger:1", ImagePullPolicy: corev1.PullIfNotPresent,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}}
		change(&e)
		with.Spec.EphemeralContainers = []corev1.EphemeralContainer{e}
		return c.SubResource("ephemeralcontainers").Update(ctx, with,
			&client.SubResourceUpdateOptions{UpdateOptions: client.UpdateOptions{DryRun: []string{metav1.DryRunAll}}})
	}
	target := func(e *corev1.EphemeralContainer) { e.TargetContainerName = sidecar.ContainerName }
	waitInForce(t, "kuda-ephemeral-containers", func(ctx context.Context) error { return add(ctx, target) })
	for _, volume := range []string{"kuda-store", "kuda-token", p.Spec.Volumes[2].Name} {
		err := add(t.Context(), func(e *corev1.EphemeralContainer) {
			e.VolumeMounts = []corev1.VolumeMount{{Name: volume, MountPath: "/v"}}
		})
		if err == nil || !strings.Contains(err.Error(), "kuda-ephemeral-containers") {
			t.Errorf("volume %s: %v", volume, err)
		}
	}
	if err := add(t.Context(), func(e *corev1.EphemeralContainer) { e.TargetContainerName = "app" }); err != nil {
		t.Errorf("a debugger of the application is refused: %v", err)
	}

	core, err := rest.RESTClientFor(coreConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, container string, command ...string) error {
		query := url.Values{"container": {container}, "stdout": {"true"}, "command": command}
		return core.Verb(http.MethodPost).RequestURI("/api/v1/namespaces/" + n.Name + "/pods/" + p.Name + "/exec?" +
			query.Encode()).Do(ctx).Error()
	}
	waitInForce(t, "kuda-runtime-exec", func(ctx context.Context) error { return run(ctx, sidecar.ContainerName, "/kuda-runtime", "fetch") })
	for _, command := range [][]string{
		{"/kuda-runtime", "inspect", "plan", "--store=/kuda/x"}, {"/kuda-runtime", "inspect", "data", "--pod-uid", "x"},
		{"/kuda-runtime", "inspect", "--secrets-dir", "/x", "plan"}, {"/kuda-runtime", "store", "verify", "--store", "/x", "--repair"},
		{"/kuda-runtime"}, {"/kuda-runtime", "run"}, {"/kuda-runtime", "--store=/x"}, {"/proc/self/exe", "store"}, {"sh", "-c", "x"},
		{"/kuda-runtime", "node", "close"},
	} {
		if err := run(t.Context(), sidecar.ContainerName, command...); err == nil || !strings.Contains(err.Error(), "kuda-runtime-exec") {
			t.Errorf("%q: %v", command, err)
		}
	}
	if err := run(t.Context(), "kuda-plugin-sftp", "sh"); err == nil || !strings.Contains(err.Error(), "kuda-runtime-exec") {
		t.Errorf("a plugin: %v", err)
	}
	// What is admitted fails for another reason: no kubelet runs the pod.
	for container, command := range map[string][]string{"app": {"sh"}, sidecar.ContainerName: {"/kuda-runtime", "inspect", "data"}} {
		if err := run(t.Context(), container, command...); err == nil || apierrors.IsForbidden(err) || strings.Contains(err.Error(), "kuda-") {
			t.Errorf("%s %q: %v", container, command, err)
		}
	}
}

func coreConfig(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	return config
}
