// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package remains

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// image is what the manager's Deployment names.
var image = readImage()

func readImage() string {
	content, err := os.ReadFile("../../../deploy/base/manager/deployment.yaml")
	if err != nil {
		panic(err)
	}
	found := regexp.MustCompile(`value: (kuda-io/kuda-runtime\S*)`).FindSubmatch(content)
	if found == nil {
		panic("the manager's Deployment names no image of the runtime")
	}
	return string(found[1])
}

// asManager starts an API server with what the installation has in namespace kuda-node,
// and returns clients of an administrator and of the manager's account.
func asManager(t *testing.T) (admin, manager client.Client) {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set: run the tests by \"make integration\"")
	}
	env := &envtest.Environment{}
	t.Cleanup(func() { _ = env.Stop() }) // also what a failed start has left running
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if admin, err = client.New(config, client.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"namespace.yaml", "manager/deployment.yaml", "node/namespace.yaml", "node/rbac.yaml", "node/policy.yaml"} {
		apply(t, admin, "../../../deploy/base/"+file)
	}
	account := rest.CopyConfig(config)
	account.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:kuda-system:kuda-manager", Groups: []string{"system:serviceaccounts", "system:authenticated"},
	}
	if manager, err = client.New(account, client.Options{}); err != nil {
		t.Fatal(err)
	}
	return admin, manager
}

func apply(t *testing.T, c client.Client, file string) {
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

// made is a pod as the controller makes it.
func made(change ...func(*corev1.Pod)) *corev1.Pod {
	r := &Reconciler{
		image: image, hostPath: func() string { return sidecar.StoreRoot },
		secrets: func() []corev1.LocalObjectReference { return []corev1.LocalObjectReference{{Name: "registry-key"}} },
	}
	s := &v1alpha1.NodeStore{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "s1"}}
	p := r.newPod(s, task{namespace: "gone", uid: "0b6f1e0c-6c8f-4f0e-a2f9-d1d5f6b7a8c9", nameIsGone: true})
	for _, f := range change {
		f(p)
	}
	return p
}

// changeContainer changes the one container of a pod.
func changeContainer(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(p *corev1.Pod) { change(&p.Spec.Containers[0]) }
}

// checkDeletions checks that the manager deletes its own pods and no others.
func checkDeletions(t *testing.T, admin, manager client.Client) {
	t.Helper()
	for name, mayGo := range map[string]bool{"kuda-node-abcde": false, podName("n1"): true} {
		p := made(func(p *corev1.Pod) { p.Name = name })
		if err := admin.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := manager.Delete(t.Context(), p); (err == nil) != mayGo {
			t.Errorf("deleting pod %s: %v", name, err)
		}
	}
}

func TestTheManagerMakesNoOtherPodsInTheNodesNamespace(t *testing.T) {
	admin, manager := asManager(t)
	wrongImage := changeContainer(func(c *corev1.Container) { c.Image = "evil:1" })
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = manager.Create(ctx, made(wrongImage), client.DryRunAll)
		return last != nil && strings.Contains(last.Error(), "kuda-node-pods"), nil
	})
	if err != nil {
		t.Fatalf("the policy is not in force: %v", last)
	}
	if err := manager.Create(t.Context(), made(), client.DryRunAll); err != nil {
		t.Errorf("the controller's own pod is refused: %v", err)
	}
	closing := made(changeContainer(func(c *corev1.Container) { c.Command = []string{"/kuda-runtime", "node", "close"} }))
	if err := manager.Create(t.Context(), closing, client.DryRunAll); err != nil {
		t.Errorf("the controller's other pod is refused: %v", err)
	}
	for name, change := range map[string]func(*corev1.Pod){
		"a tag of the image's": changeContainer(func(c *corev1.Container) { c.Image = image + "-evil" }),
		"another directory":    func(p *corev1.Pod) { p.Spec.Volumes[0].HostPath.Path = "/" },
		"a directory in it":    func(p *corev1.Pod) { p.Spec.Volumes[0].HostPath.Path = "/var/lib/kuda/shop" },
		"another volume": func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "x",
				VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}})
		},
		"an emptyDir":            func(p *corev1.Pod) { p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{} },
		"another command":        changeContainer(func(c *corev1.Container) { c.Command = []string{"/kuda-runtime", "fetch", "x"} }),
		"another base":           changeContainer(func(c *corev1.Container) { c.Command = append(c.Command, "--base=/") }),
		"arguments":              changeContainer(func(c *corev1.Container) { c.Args = []string{"x"} }),
		"the image's entrypoint": changeContainer(func(c *corev1.Container) { c.Command = nil }),
		"an environment":         changeContainer(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "X", Value: "y"}} }),
		"privilege": changeContainer(func(c *corev1.Container) {
			c.SecurityContext.Privileged, c.SecurityContext.AllowPrivilegeEscalation = new(true), nil
		}),
		"escalation": changeContainer(func(c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = nil }),
		"a capability": changeContainer(func(c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"DAC_OVERRIDE"}
		}),
		"all capabilities":    changeContainer(func(c *corev1.Container) { c.SecurityContext.Capabilities = nil }),
		"a root to write to":  changeContainer(func(c *corev1.Container) { c.SecurityContext.ReadOnlyRootFilesystem = nil }),
		"no security context": changeContainer(func(c *corev1.Container) { c.SecurityContext = nil }),
		"a hook": changeContainer(func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
		}),
		"a probe": changeContainer(func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/kuda-runtime",
				"fetch", "x"}}}}
		}),
		"a second container": func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b", Image: image})
		},
		"an init container":    func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "b", Image: image}} },
		"the node's network":   func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"the node's processes": func(p *corev1.Pod) { p.Spec.HostPID = true },
		"the node's memory":    func(p *corev1.Pod) { p.Spec.HostIPC = true },
		"a token":              func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = nil },
		"another account":      func(p *corev1.Pod) { p.Spec.ServiceAccountName = "default" },
		"no end":               func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = nil },
		"a late end":           func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(3600)) },
		"a new start":          func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways },
	} {
		if err := manager.Create(t.Context(), made(change), client.DryRunAll); err == nil || !strings.Contains(err.Error(), "kuda-node-pods") {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := made(func(p *corev1.Pod) { p.Namespace = "kuda-system" })
	if err := manager.Create(t.Context(), other, client.DryRunAll); err == nil {
		t.Error("the pod may be made elsewhere by these rights alone")
	}
	checkDeletions(t, admin, manager)
	// An administrator's pods, such as those of a DaemonSet, are outside the policy.
	if err := admin.Create(t.Context(), made(wrongImage), client.DryRunAll); err != nil {
		t.Errorf("an administrator's pod is refused: %v", err)
	}
}
