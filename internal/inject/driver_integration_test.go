// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package inject

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const volumesPolicy = "kuda-node-volumes"

// startWithKudaNode starts an API server with the policies of an installation that has
// kuda-node, and waits until they are in force.
func startWithKudaNode(t *testing.T) client.Client {
	t.Helper()
	_, c := startAPIServer(t)
	node := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kuda-node"}}
	if err := c.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	createFrom(t, c, "../../deploy/node/policy.yaml")
	setImages(t, c, settings().Image, "")
	n := newNamespace(t, c, nil)
	waitInForce(t, volumesPolicy, func(ctx context.Context) error {
		return c.Create(ctx, drivenIn(t, n, func(p *corev1.Pod) { p.Spec.Volumes[1].CSI.ReadOnly = nil }), client.DryRunAll)
	})
	return c
}

// setImages names those of the runtime.
func setImages(t *testing.T, c client.Client, runtime, more string) {
	t.Helper()
	images := &corev1.ConfigMap{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "kuda-node", Name: "kuda-node-images"}, images); err != nil {
		t.Fatal(err)
	}
	images.Data = map[string]string{"runtime": runtime, "more": more}
	if err := c.Update(t.Context(), images); err != nil {
		t.Fatal(err)
	}
}

// drivenIn is a pod as the webhook of an installation with kuda-node leaves it, and as
// it is changed then.
func drivenIn(t *testing.T, n Namespace, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	req := driven(request(pod(func(p *corev1.Pod) {
		p.Namespace, p.GenerateName, p.Spec.ServiceAccountName = n.Name, "search-", "default"
		p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "prepare:1"}}
	})))
	req.Namespace = n
	p := mustInject(t, req)
	for _, f := range change {
		f(p)
	}
	return p
}

// asStranger has an application mount the store.
func asStranger(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].Name = sidecar.VolumeStore }

// runtimeAmongContainers makes the runtime one of the application's containers.
func runtimeAmongContainers(p *corev1.Pod) {
	p.Spec.Containers, p.Spec.InitContainers = append(p.Spec.Containers, p.Spec.InitContainers[0]), nil
	p.Spec.Containers[1].RestartPolicy = nil
}

// These change one thing of a pod that Kuda injected.

func ofRuntime(change func(*corev1.Container)) func(*corev1.Pod) {
	return func(p *corev1.Pod) { change(&p.Spec.InitContainers[0]) }
}

func ofSecurity(change func(*corev1.SecurityContext)) func(*corev1.Pod) {
	return ofRuntime(func(c *corev1.Container) { change(c.SecurityContext) })
}

func withVariable(name, value string) func(*corev1.Pod) {
	return ofRuntime(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value}) })
}

func withMount(m corev1.VolumeMount) func(*corev1.Pod) {
	return ofRuntime(func(c *corev1.Container) { c.VolumeMounts = append(c.VolumeMounts, m) })
}

func ofStore(change func(*corev1.CSIVolumeSource)) func(*corev1.Pod) {
	return func(p *corev1.Pod) { change(p.Spec.Volumes[0].CSI) }
}

func ofView(change func(*corev1.CSIVolumeSource)) func(*corev1.Pod) {
	return func(p *corev1.Pod) { change(p.Spec.Volumes[1].CSI) }
}

func ofApplication(change func(*corev1.VolumeMount)) func(*corev1.Pod) {
	return func(p *corev1.Pod) { change(&p.Spec.Containers[0].VolumeMounts[0]) }
}

// steal is what a hook or a probe would do.
func steal() *corev1.ExecAction { return &corev1.ExecAction{Command: []string{"steal"}} }

// hostileVolumes are others than the webhook makes.
var hostileVolumes = map[string]func(*corev1.Pod){
	"a store by the name of the view":   ofView(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["kind"] = "store" }),
	"a kind that is none":               ofStore(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["kind"] = "../.." }),
	"no kind":                           ofStore(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes = nil }),
	"a view that can be written":        ofView(func(v *corev1.CSIVolumeSource) { v.ReadOnly = new(false) }),
	"a view that does not say":          ofView(func(v *corev1.CSIVolumeSource) { v.ReadOnly = nil }),
	"another namespace's store":         ofStore(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["namespaceUID"] = "another" }),
	"no namespace":                      ofStore(func(v *corev1.CSIVolumeSource) { delete(v.VolumeAttributes, "namespaceUID") }),
	"another namespace's view":          ofView(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["namespaceUID"] = "another" }),
	"a user that the namespace has not": ofStore(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["user"] = "1000" }),
	"root":                              ofStore(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["user"] = "0" }),
	"a user without a name":             ofStore(func(v *corev1.CSIVolumeSource) { v.VolumeAttributes["user"] = "" }),
	"what the kubelet says": ofStore(func(v *corev1.CSIVolumeSource) {
		v.VolumeAttributes["csi.storage.k8s.io/pod.namespace"] = "x"
	}),
	"a Secret": ofStore(func(v *corev1.CSIVolumeSource) {
		v.NodePublishSecretRef = &corev1.LocalObjectReference{Name: "x"}
	}),
	"a file system": ofStore(func(v *corev1.CSIVolumeSource) { v.FSType = new("ext4") }),
}

// hostileRuntimes run something else than Kuda's runtime.
var hostileRuntimes = map[string]func(*corev1.Pod){
	"another image":          ofRuntime(func(c *corev1.Container) { c.Image = "evil:1" }),
	"another container":      ofRuntime(func(c *corev1.Container) { c.Name = "runtime" }),
	"not a sidecar":          ofRuntime(func(c *corev1.Container) { c.RestartPolicy, c.StartupProbe = nil, nil }),
	"a command":              ofRuntime(func(c *corev1.Container) { c.Command = []string{"/kuda-runtime", "fetch"} }),
	"arguments":              ofRuntime(func(c *corev1.Container) { c.Args = []string{"--store=/x"} }),
	"a directory to work in": ofRuntime(func(c *corev1.Container) { c.WorkingDir = "/var/lib/kuda" }),
	"a terminal":             ofRuntime(func(c *corev1.Container) { c.Stdin, c.TTY = true, true }),
	"a port of the node":     ofRuntime(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 1, HostPort: 1}} }),
	"a file for messages":    ofRuntime(func(c *corev1.Container) { c.TerminationMessagePath = "/kuda-runtime" }),
	"a hook": ofRuntime(func(c *corev1.Container) {
		c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: steal()}}
	}),
	"a liveness probe": ofRuntime(func(c *corev1.Container) {
		c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: steal()}}
	}),
	"a readiness probe": ofRuntime(func(c *corev1.Container) {
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: steal()}}
	}),
	"a startup probe that runs commands": ofRuntime(func(c *corev1.Container) {
		c.StartupProbe.ProbeHandler = corev1.ProbeHandler{Exec: steal()}
	}),
	"a startup probe of another host": ofRuntime(func(c *corev1.Container) {
		c.StartupProbe.HTTPGet = &corev1.HTTPGetAction{Host: "x", Port: intstr.FromInt32(1)}
	}),
	"variables of a ConfigMap": ofRuntime(func(c *corev1.Container) {
		c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}}}
	}),
	"reports of its own": ofRuntime(func(c *corev1.Container) {
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == sidecar.EnvStoreReporter })
	}),
	"a part of the store": ofRuntime(func(c *corev1.Container) { c.VolumeMounts[0].SubPath = "pods" }),
	"the store elsewhere": ofRuntime(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/var/run/kuda/x" }),
	"no security":         ofRuntime(func(c *corev1.Container) { c.SecurityContext = nil }),
}

// privilegedRuntimes have more, or see other things, than Kuda's runtime.
var privilegedRuntimes = map[string]func(*corev1.Pod){
	"a library":                 withVariable("LD_PRELOAD", "/x.so"),
	"a proxy":                   withVariable("https_proxy", "http://evil"),
	"a setting of Go":           withVariable("GODEBUG", "x=1"),
	"an endpoint of AWS":        withVariable("AWS_ENDPOINT_URL", "http://evil"),
	"another store":             withVariable(sidecar.EnvStoreRoot, "/var/lib/kuda/pods"),
	"another pod":               withVariable(sidecar.EnvPodUID, "another"),
	"a mount over certificates": withMount(corev1.VolumeMount{Name: "kuda-token", MountPath: "/etc/ssl", ReadOnly: true}),
	"a mount over the program":  withMount(corev1.VolumeMount{Name: "kuda-token", MountPath: "/kuda-runtime", ReadOnly: true}),
	"a mount in the store":      withMount(corev1.VolumeMount{Name: "kuda-token", MountPath: "/var/lib/kuda/pods", ReadOnly: true}),
	"a way out of a directory":  withMount(corev1.VolumeMount{Name: "kuda-token", MountPath: "/var/run/kuda/../../lib", ReadOnly: true}),
	"the store twice":           withMount(corev1.VolumeMount{Name: "kuda-store", MountPath: "/var/run/kuda/x"}),
	"the view":                  withMount(corev1.VolumeMount{Name: "kuda-view", MountPath: "/var/run/kuda/x", ReadOnly: true}),
	"root's runtime":            ofSecurity(func(s *corev1.SecurityContext) { s.RunAsUser, s.RunAsNonRoot = new(int64(0)), new(false) }),
	"another user's":            ofSecurity(func(s *corev1.SecurityContext) { s.RunAsUser = new(int64(1000)) }),
	"another group's":           ofSecurity(func(s *corev1.SecurityContext) { s.RunAsGroup = new(int64(0)) }),
	"a privilege": ofSecurity(func(s *corev1.SecurityContext) {
		s.Privileged, s.AllowPrivilegeEscalation = new(true), new(true)
	}),
	"a capability":              ofSecurity(func(s *corev1.SecurityContext) { s.Capabilities.Add = []corev1.Capability{"SYS_PTRACE"} }),
	"capabilities kept":         ofSecurity(func(s *corev1.SecurityContext) { s.Capabilities.Drop = nil }),
	"no seccomp":                ofSecurity(func(s *corev1.SecurityContext) { s.SeccompProfile.Type = corev1.SeccompProfileTypeUnconfined }),
	"a file system to write on": ofSecurity(func(s *corev1.SecurityContext) { s.ReadOnlyRootFilesystem = nil }),
}

// hostilePods use the volumes otherwise than applications do.
var hostilePods = map[string]func(*corev1.Pod){
	"a view to write in for a container by the runtime's name": func(p *corev1.Pod) {
		p.Spec.Volumes = p.Spec.Volumes[1:]
		p.Spec.InitContainers[0].VolumeMounts = []corev1.VolumeMount{{Name: sidecar.VolumeView, MountPath: "/v"}}
	},
	"an application mounts the store":     asStranger,
	"the runtime is among the containers": runtimeAmongContainers,
	"an init container mounts the store": func(p *corev1.Pod) {
		p.Spec.InitContainers[1].VolumeMounts[0].Name = sidecar.VolumeStore
	},
	"an application mounts the store read-only": ofApplication(func(m *corev1.VolumeMount) { m.Name, m.ReadOnly = sidecar.VolumeStore, true }),
	"an application writes in its view":         ofApplication(func(m *corev1.VolumeMount) { m.ReadOnly = false }),
	"a part of the view":                        ofApplication(func(m *corev1.VolumeMount) { m.SubPath = "snapshots" }),
	"a view by variables":                       ofApplication(func(m *corev1.VolumeMount) { m.SubPathExpr = "$(KUDA_POD_UID)" }),
	"another name of the store": func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "scratch", VolumeSource: p.Spec.Volumes[0].VolumeSource})
		p.Spec.Containers[0].VolumeMounts[0].Name = "scratch"
	},
	"the runtime among the containers": func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, p.Spec.InitContainers[0])
		p.Spec.Containers[1].RestartPolicy = nil
		p.Spec.InitContainers = nil
	},
	"processes in common":   func(p *corev1.Pod) { p.Spec.ShareProcessNamespace = new(true) },
	"the node's processes":  func(p *corev1.Pod) { p.Spec.HostPID = true },
	"no claim of injection": func(p *corev1.Pod) { p.Annotations = nil },
}

func TestKudaNodesVolumesAreForTheInjectedShapeOnly(t *testing.T) {
	c := startWithKudaNode(t)
	n := newNamespace(t, c, nil)
	for _, forgeries := range []map[string]func(*corev1.Pod){hostileVolumes, hostileRuntimes, privilegedRuntimes, hostilePods} {
		for name, change := range forgeries {
			err := c.Create(t.Context(), drivenIn(t, n, change), client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), volumesPolicy) && !strings.Contains(err.Error(), "kuda-store-identity") ||
				strings.Contains(err.Error(), "resulted in error") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestTheAPIServerAcceptsEveryPodOfKudaNode creates what Inject makes of random pods in a
// namespace that enforces the restricted level.
func TestTheAPIServerAcceptsEveryPodOfKudaNode(t *testing.T) {
	c := startWithKudaNode(t)
	n := newNamespace(t, c, map[string]string{labelEnforce: "restricted"})
	for seed := range uint64(100) {
		req := driven(randomRequest(rand.New(rand.NewPCG(seed, 5))))
		req.Namespace, req.Settings.Store = n, StoreAuto
		req.Pod.Namespace, req.Pod.Spec.ServiceAccountName = n.Name, "default"
		restrict(req.Pod)
		p := mustInject(t, req)
		want := v1alpha1.StoreNode
		if req.optedOutOfNodeStore() {
			want = v1alpha1.StorePod
		}
		if p.Annotations[v1alpha1.AnnotationStore] != want {
			t.Errorf("seed %d: got store %s", seed, p.Annotations[v1alpha1.AnnotationStore])
		}
		if err := c.Create(t.Context(), p, client.DryRunAll); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			continue
		}
		if err := c.Create(t.Context(), mustInject(t, withPod(req, p)), client.DryRunAll); err != nil {
			t.Errorf("seed %d, the stored pod injected again: %v", seed, err)
		}
	}
}

func withPod(r Request, p *corev1.Pod) Request {
	r.Pod = p
	return r
}

func TestWhatOthersAddToTheRuntimeForAWorkloadsIdentityIsAdmitted(t *testing.T) {
	c := startWithKudaNode(t)
	n := newNamespace(t, c, nil)
	p := drivenIn(t, n, func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "aws-iam-token",
			VolumeSource: tokenVolume("", "sts.amazonaws.com", "token").VolumeSource})
		r := &p.Spec.InitContainers[0]
		r.Env = append(r.Env, corev1.EnvVar{Name: "AWS_ROLE_ARN", Value: "arn"}, corev1.EnvVar{Name: "AZURE_CLIENT_ID", Value: "id"})
		r.VolumeMounts = append(r.VolumeMounts, corev1.VolumeMount{Name: "aws-iam-token", ReadOnly: true,
			MountPath: "/var/run/secrets/eks.amazonaws.com/serviceaccount"})
	})
	if err := c.Create(t.Context(), p, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

func TestTheUserOfAVolumeIsTheFirstOfTheNamespaces(t *testing.T) {
	c := startWithKudaNode(t)
	for _, text := range []string{"1000650000/10000", "1000650000-1000659999"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-", Annotations: inRange(text)}}
		if err := c.Create(t.Context(), namespace); err != nil {
			t.Fatal(err)
		}
		n := Namespace{Name: namespace.Name, UID: namespace.UID, Annotations: namespace.Annotations}
		if err := c.Create(t.Context(), drivenIn(t, n), client.DryRunAll); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		for _, user := range []string{"1000650001", "100065000", "1", ".*", "1000650000/1"} {
			err := c.Create(t.Context(), drivenIn(t, n, func(p *corev1.Pod) {
				p.Spec.Volumes[1].CSI.VolumeAttributes["user"] = user
			}), client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), volumesPolicy) {
				t.Errorf("%s, user %s: %v", text, user, err)
			}
		}
	}
}

func TestTheImagesOfAnUpgradeAreNamedBesideEachOther(t *testing.T) {
	c := startWithKudaNode(t)
	n := newNamespace(t, c, nil)
	running := drivenIn(t, n)
	if err := c.Create(t.Context(), running); err != nil {
		t.Fatal(err)
	}
	setImages(t, c, "kuda-io/kuda-runtime:v0.2.0", "")
	waitInForce(t, "kuda-node-images", func(ctx context.Context) error { return c.Create(ctx, drivenIn(t, n), client.DryRunAll) })
	running.Labels["x"] = "y"
	if err := c.Update(t.Context(), running); err != nil {
		t.Errorf("a pod of the release before cannot be changed any more: %v", err)
	}
	running.Spec.InitContainers[0].Image = "evil:1"
	if err := c.Update(t.Context(), running); err == nil {
		t.Error("the image of the runtime was changed")
	}
	setImages(t, c, "kuda-io/kuda-runtime:v0.2.0", "mirror.example.com/kuda-runtime:v9\n  "+settings().Image+"\n")
	waitAdmitted(t, func(ctx context.Context) error { return c.Create(ctx, drivenIn(t, n), client.DryRunAll) })
}

func TestADebuggerSeesTheViewAndNotTheStore(t *testing.T) {
	c := startWithKudaNode(t)
	n := newNamespace(t, c, nil)
	p := drivenIn(t, n)
	if err := c.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for name, check := range map[string]struct {
		change  func(*corev1.EphemeralContainer)
		refused bool
	}{
		"nothing":                  {func(*corev1.EphemeralContainer) {}, false},
		"the view":                 {mountingEphemeral(corev1.VolumeMount{Name: sidecar.VolumeView, MountPath: "/v", ReadOnly: true}), false},
		"the view to write in":     {mountingEphemeral(corev1.VolumeMount{Name: sidecar.VolumeView, MountPath: "/v"}), true},
		"the store":                {mountingEphemeral(corev1.VolumeMount{Name: sidecar.VolumeStore, MountPath: "/s", ReadOnly: true}), true},
		"the runtime's processes":  {func(e *corev1.EphemeralContainer) { e.TargetContainerName = sidecar.ContainerName }, true},
		"the application's":        {func(e *corev1.EphemeralContainer) { e.TargetContainerName = "app" }, false},
		"the name of the runtimes": {func(e *corev1.EphemeralContainer) { e.Name = sidecar.PluginPrefix + "x" }, true},
	} {
		with := p.DeepCopy()
		e := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger", Image: "debugger:1", ImagePullPolicy: corev1.PullIfNotPresent,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}}
		check.change(&e)
		with.Spec.EphemeralContainers = []corev1.EphemeralContainer{e}
		err := c.SubResource("ephemeralcontainers").Update(t.Context(), with,
			&client.SubResourceUpdateOptions{UpdateOptions: client.UpdateOptions{DryRun: []string{metav1.DryRunAll}}})
		if (err != nil) != check.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mountingEphemeral(m corev1.VolumeMount) func(*corev1.EphemeralContainer) {
	return func(e *corev1.EphemeralContainer) { e.VolumeMounts = []corev1.VolumeMount{m} }
}

// TestTheCostOfThePolicyIsWithinTheAPIServersBounds creates the largest pod that Inject
// takes: one over the bounds would be refused.
func TestTheCostOfThePolicyIsWithinTheAPIServersBounds(t *testing.T) {
	c := startWithKudaNode(t)
	n := newNamespace(t, c, nil)
	req := driven(request(pod(func(p *corev1.Pod) {
		p.Namespace, p.Spec.ServiceAccountName = n.Name, "default"
		for i := range 40 {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("v-%d", i)})
		}
		for i := range MaxContainers - 1 {
			c := corev1.Container{Name: fmt.Sprintf("c-%d", i), Image: "i"}
			for j := range 40 {
				c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: fmt.Sprintf("v-%d", j), MountPath: fmt.Sprintf("/mnt/%d", j)})
				c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("E%d", j), Value: "x"})
			}
			p.Spec.Containers = append(p.Spec.Containers, c)
		}
	})))
	req.Namespace = n
	if err := c.Create(t.Context(), mustInject(t, req), client.DryRunAll); err != nil {
		t.Error(err)
	}
}
