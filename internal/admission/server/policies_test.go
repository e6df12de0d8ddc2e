// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package server

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// preheatPod is a pod as the manager makes it for a DataSet.
func preheatPod(d *v1alpha1.DataSet, name string) *corev1.Pod {
	owner := metav1.NewControllerRef(d, v1alpha1.GroupVersion.WithKind("DataSet"))
	owner.BlockOwnerDeletion = new(false)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: d.Name + "-preheat-" + name, Labels: map[string]string{v1alpha1.LabelPreheat: d.Name},
			OwnerReferences: []metav1.OwnerReference{*owner},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyOnFailure, ServiceAccountName: "default", AutomountServiceAccountToken: new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), RunAsGroup: new(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: sidecar.PreheatContainer, Image: sidecar.PreheatImage, Command: []string{"/kuda-runtime", "version"},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// hostVolume gives the pod a directory of its node.
func hostVolume(name, path string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: path, Type: new(corev1.HostPathDirectoryOrCreate)},
		}})
	}
}

func ownRuntime(p *corev1.Pod) {
	c := p.Spec.Containers[0].DeepCopy()
	c.Name, c.Image, c.Command, c.RestartPolicy = sidecar.ContainerName, "evil:1", nil, new(corev1.ContainerRestartPolicyAlways)
	p.Spec.InitContainers = append(p.Spec.InitContainers, *c)
}

// forgeries are what a stolen account of the manager might make of the right to
// create pods.
var forgeries = map[string]func(*corev1.Pod){
	"no-label":        func(p *corev1.Pod) { p.Labels = nil },
	"other-label":     func(p *corev1.Pod) { p.Labels[v1alpha1.LabelPreheat] = "other" },
	"no-owner":        func(p *corev1.Pod) { p.OwnerReferences = nil },
	"other-name":      func(p *corev1.Pod) { p.Name = "web-0" },
	"host-network":    func(p *corev1.Pod) { p.Spec.HostNetwork = true },
	"host-pid":        func(p *corev1.Pod) { p.Spec.HostPID = true },
	"host-ipc":        func(p *corev1.Pod) { p.Spec.HostIPC = true },
	"node-name":       func(p *corev1.Pod) { p.Spec.NodeName = "n1" },
	"root-directory":  hostVolume("kuda-store", "/"),
	"etc":             hostVolume("host", "/etc"),
	"kubelet":         hostVolume("kuda-ca-x", "/var/lib/kubelet"),
	"other-namespace": hostVolume("kuda-x", "/var/lib/kuda/kube-system"),
	"account":         func(p *corev1.Pod) { p.Spec.ServiceAccountName = "admin" },
	"token":           func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = new(true) },
	"projected-token": func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "kuda-identity-x", VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "t"}}}},
		}})
	},
	"secret": func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "loot",
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "billing"}}})
	},
	"secret-in-the-application": func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "kuda-secret-x",
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "billing"}}})
		p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts,
			corev1.VolumeMount{Name: "kuda-secret-x", MountPath: "/loot"})
	},
	"privileged": func(p *corev1.Pod) {
		s := p.Spec.Containers[0].SecurityContext
		s.Privileged, s.AllowPrivilegeEscalation = new(true), nil
	},
	"capability": func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_ADMIN"}
	},
	"unconfined": func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
	},
	"root":          func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.RunAsUser = new(int64(0)) },
	"writable-root": func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem = nil },
	"own-image":     func(p *corev1.Pod) { p.Spec.Containers[0].Image = "evil:1" },
	"own-command":   func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"/bin/sh"} },
	"own-arguments": func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"--evil"} },
	"second": func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "evil", Image: "evil:1"})
	},
	"init":            func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "evil", Image: "evil:1"}} },
	"runtime-and-own": func(p *corev1.Pod) { ownRuntime(p); p.Spec.Containers[0].Image = "evil:2" },
	"process-namespace": func(p *corev1.Pod) {
		p.Spec.ShareProcessNamespace = new(true)
	},
	"probe": func(p *corev1.Pod) {
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			Exec: &corev1.ExecAction{Command: []string{"/kuda-runtime", "fetch"}}}}
	},
	"opted-out-with-own-runtime": func(p *corev1.Pod) {
		p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
		ownRuntime(p)
		p.Spec.Containers[0].Image = "evil:1"
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "kuda-secret-x",
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "billing"}}})
		p.Spec.InitContainers[0].VolumeMounts = []corev1.VolumeMount{{Name: "kuda-secret-x", MountPath: "/loot"}}
	},
	"opted-out-with-own-image": func(p *corev1.Pod) {
		p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
		p.Spec.Containers[0].Image = "evil:1"
	},
}

func TestTheManagersAccountCreatesOnlyItsOwnPreheatPods(t *testing.T) {
	for name, c := range map[string]struct {
		injected bool
		config   string
	}{
		"with the webhook": {true, ""}, "without it": {false, ""}, "with kuda-node": {true, "nodeDriver: data.kuda.io\n"},
	} {
		injected := c.injected
		t.Run(name, func(t *testing.T) {
			w := startWebhookUnder(t, pki.DefaultPolicy(), c.config+"plugins: [{name: sftp, image: sftp:1}]")
			ns := namespace(t, nil)
			if err := admin.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "admin"}}); err != nil {
				t.Fatal(err)
			}
			d := plain(ns, "model", everyReference)
			if err := admin.Create(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			manager := as(t, "kuda-manager")
			eventually(t, "a pod is injected", func(ctx context.Context) (bool, error) {
				p := preheatPod(d, "probe")
				err := manager.Create(ctx, p, client.DryRunAll)
				return p.Annotations[v1alpha1.AnnotationInjected] == d.Name, err
			})
			if !injected {
				w.stop()
			}
			own := preheatPod(d, "own")
			if err := manager.Create(t.Context(), own); err != nil {
				t.Fatalf("its own pod: %v", err)
			}
			for name, forge := range forgeries {
				p := preheatPod(d, name)
				forge(p)
				err := manager.Create(t.Context(), p)
				// The webhook may also have made it what it ought to be.
				if mended := err == nil && cmp.Equal(p.Spec, own.Spec); !mended && !refusedByPolicy(err, "kuda-") {
					t.Errorf("%s: got %v", name, err)
				}
			}
			if err := manager.Delete(t.Context(), own); err != nil {
				t.Errorf("deleting its own pod: %v", err)
			}
		})
	}
}

func TestTheManagersAccountDeletesNoOtherPods(t *testing.T) {
	ns := namespace(t, nil)
	manager := as(t, "kuda-manager")
	for name, labels := range map[string]map[string]string{"web": nil, "model-preheat-x": {v1alpha1.LabelPreheat: "model"}} {
		p := replica(ns)
		p.GenerateName, p.Name, p.Labels = "", name, labels
		if err := admin.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := manager.Delete(t.Context(), p); !refusedByPolicy(err, "kuda-manager-pods") {
			t.Errorf("deleting %s: %v", name, err)
		}
	}
}

func TestTheManagersAccountCreatesNothingInTheClustersNamespaces(t *testing.T) {
	manager := as(t, "kuda-manager")
	for _, ns := range []string{"kube-system", "kuda-system"} {
		d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "model", UID: "u"}}
		if err := manager.Create(t.Context(), preheatPod(d, "x")); !apierrors.IsForbidden(err) {
			t.Errorf("in %s: %v", ns, err)
		}
	}
}

func TestTheManagersAccountRunsCommandsInApplicationsOnly(t *testing.T) {
	c, err := kubernetes.NewForConfig(configAs("kuda-manager"))
	if err != nil {
		t.Fatal(err)
	}
	ns := namespace(t, nil)
	for _, in := range []string{ns, "kube-system", "kuda-system", "kuda-node"} {
		p := replica(in)
		p.GenerateName, p.Name = "", "web-0"
		p.Spec.ServiceAccountName, p.Spec.AutomountServiceAccountToken = "default", new(false)
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "default"}}
		if err := admin.Create(t.Context(), account); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if err := admin.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := admin.Delete(context.WithoutCancel(t.Context()), p); err != nil {
				t.Error(err)
			}
		})
	}
	for name, try := range map[string]struct {
		namespace string
		options   corev1.PodExecOptions
		want      bool
	}{
		"an application": {ns, corev1.PodExecOptions{Container: "app", Command: []string{"id"}, Stdout: true}, true},
		"no container":   {ns, corev1.PodExecOptions{Command: []string{"id"}, Stdout: true}, false},
		"the runtime":    {ns, corev1.PodExecOptions{Container: "kuda-runtime", Command: []string{"id"}, Stdout: true}, false},
		"a plugin":       {ns, corev1.PodExecOptions{Container: "kuda-plugin-sftp", Command: []string{"id"}, Stdout: true}, false},
		"a terminal": {ns, corev1.PodExecOptions{Container: "app", Command: []string{"sh"}, Stdin: true,
			Stdout: true, TTY: true}, false},
		"the cluster's own":    {"kube-system", corev1.PodExecOptions{Container: "app", Command: []string{"id"}, Stdout: true}, false},
		"the nodes' namespace": {"kuda-node", corev1.PodExecOptions{Container: "app", Command: []string{"id"}, Stdout: true}, false},
		"Kuda's own namespace": {"kuda-system", corev1.PodExecOptions{Container: "app", Command: []string{"id"}, Stdout: true}, false},
	} {
		for _, verb := range []string{"GET", "POST"} {
			err := c.CoreV1().RESTClient().Verb(verb).Resource("pods").Namespace(try.namespace).Name("web-0").SubResource("exec").
				VersionedParams(&try.options, clientgoscheme.ParameterCodec).Do(t.Context()).Error()
			// Of two policies that refuse it, either may be named.
			if err == nil || refusedByPolicy(err, "kuda-") == try.want {
				t.Errorf("%s, %s: got %v", name, verb, err)
			}
		}
	}
}

func TestTenantsCannotWriteDataStatusesOrRevisions(t *testing.T) {
	ns := namespace(t, nil)
	everything := right("*", "data.kuda.io", "*")
	mallory := person(t, ns, "mallory", everything, right("*", "apps", "controllerrevisions"))
	forged := func(name string) *v1alpha1.Data {
		return &v1alpha1.Data{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			Spec: v1alpha1.DataSpec{PodName: "web-0", DataItems: []v1alpha1.DataItem{},
				Lifecycle: &v1alpha1.Lifecycle{PreDownload: &v1alpha1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"id"}}}}},
		}
	}
	if err := mallory.Create(t.Context(), forged("forged")); !refusedByPolicy(err, "kuda-own-objects") {
		t.Errorf("a Data of a tenant's own: %v", err)
	}
	d := plain(ns, "model")
	if err := admin.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	told := d.DeepCopy()
	told.Status.CurrentRevision = "model-of-others"
	if err := mallory.Status().Patch(t.Context(), told, client.MergeFrom(d)); !refusedByPolicy(err, "kuda-own-objects") {
		t.Errorf("saying which revision pods are given: %v", err)
	}
	manager := as(t, "kuda-manager")
	if err := manager.Status().Patch(t.Context(), told, client.MergeFrom(d)); err != nil {
		t.Errorf("a status of the manager's: %v", err)
	}
	data := forged("real")
	if err := manager.Create(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	data.Spec.PodName = "other"
	if err := mallory.Update(t.Context(), data); !refusedByPolicy(err, "kuda-own-objects") {
		t.Errorf("changing a Data: %v", err)
	}
	real := revisionOf(t, d)
	if err := mallory.Create(t.Context(), real.DeepCopy()); !refusedByPolicy(err, "kuda-own-objects") {
		t.Errorf("a revision of a tenant's own: %v", err)
	}
	stray := real.DeepCopy()
	stray.OwnerReferences = nil
	if err := mallory.Create(t.Context(), stray); err != nil {
		t.Fatalf("a revision that is no DataSet's: %v", err)
	}
	stray.OwnerReferences = real.OwnerReferences
	if err := mallory.Update(t.Context(), stray); !refusedByPolicy(err, "kuda-own-objects") {
		t.Errorf("adopting a revision: %v", err)
	}
	real.Name += "-2"
	if err := manager.Create(t.Context(), real); err != nil {
		t.Fatal(err)
	}
	real.Annotations["kuda.io/selector"] = `{"app":"billing"}`
	if err := mallory.Update(t.Context(), real); !refusedByPolicy(err, "kuda-own-objects") {
		t.Errorf("changing what a revision was for: %v", err)
	}
	if err := admin.Update(t.Context(), real); err != nil {
		t.Errorf("an administrator of the cluster: %v", err)
	}
}

func refusedByPolicy(err error, policy string) bool {
	return (apierrors.IsForbidden(err) || apierrors.IsInvalid(err)) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+policy)
}
