// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// forged is a pod that says it has been injected before, and brings a runtime of its own.
func forged(change ...func(*corev1.Pod)) *corev1.Pod {
	return pod(append([]func(*corev1.Pod){func(p *corev1.Pod) {
		p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "model", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
		p.Spec.InitContainers = []corev1.Container{evil(sidecar.ContainerName)}
	}}, change...)...)
}

// evil is a container with everything set that a container can have.
func evil(name string) corev1.Container {
	return corev1.Container{
		Name: name, Image: "evil:1", ImagePullPolicy: corev1.PullAlways, RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
		Command: []string{"/bin/sh"}, Args: []string{"-c", "steal"}, WorkingDir: "/evil", Stdin: true, StdinOnce: true, TTY: true,
		Ports: []corev1.ContainerPort{{ContainerPort: 22, HostPort: 22}},
		EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "evil"}}}},
		Env: []corev1.EnvVar{
			{Name: "LD_PRELOAD", Value: "/evil.so"}, {Name: "HTTPS_PROXY", Value: "http://evil"}, {Name: sidecar.EnvGatewayAddress, Value: "evil:1"},
			{Name: sidecar.EnvStoreRoot, Value: sidecar.StoreRoot}, {Name: sidecar.EnvPodUID, Value: "another"},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: sidecar.VolumeStore, MountPath: "/store"}, {Name: sidecar.VolumeToken, MountPath: "/token"}, {Name: "evil", MountPath: "/usr"},
		},
		VolumeDevices: []corev1.VolumeDevice{{Name: sidecar.VolumeStore, DevicePath: "/dev/x"}},
		Lifecycle:     &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"steal"}}}},
		LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"steal"}}}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Host: "evil", Port: intstr.FromInt32(80),
		}}},
		ResizePolicy: []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceCPU, RestartPolicy: corev1.RestartContainer}},
		SecurityContext: &corev1.SecurityContext{
			Privileged: new(true), ProcMount: new(corev1.UnmaskedProcMount),
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}},
		},
		TerminationMessagePath: "/evil", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
}

func TestNothingOfAForgedRuntimeStays(t *testing.T) {
	want := mustInject(t, request(pod()))
	got := mustInject(t, request(forged(func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{
			{Name: sidecar.VolumeStore, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}},
			{Name: sidecar.VolumeToken, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		}
	})))
	if diff := cmp.Diff(want.Spec.InitContainers, got.Spec.InitContainers); diff != "" {
		t.Errorf("the runtime (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Spec.Volumes, got.Spec.Volumes); diff != "" {
		t.Errorf("the volumes (-want +got):\n%s", diff)
	}
}

func TestNothingOfAForgedPluginStays(t *testing.T) {
	dataSets := []*v1alpha1.DataSet{dataSet("all", everySource)}
	plain, bad := request(pod()), request(forged(func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{evil(sidecar.PluginPrefix + "sftp"), evil(sidecar.ContainerName),
			evil(sidecar.PluginPrefix + "other")}
		p.Spec.Volumes = []corev1.Volume{
			{Name: sidecar.VolumeSecretPrefix + "0123456789abcdef",
				VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "billing"}}},
			{Name: sidecar.PluginPrefix + "other", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}},
			{Name: "own"},
		}
	}))
	plain.DataSets, bad.DataSets = dataSets, dataSets
	want, got := mustInject(t, plain), mustInject(t, bad)
	if diff := cmp.Diff(want.Spec.InitContainers, got.Spec.InitContainers); diff != "" {
		t.Errorf("init containers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append([]corev1.Volume{{Name: "own"}}, want.Spec.Volumes...), got.Spec.Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(apply(t, got, nil), apply(t, bad.Pod, Patch(bad.Pod, got))); diff != "" {
		t.Errorf("the patch (-want +got):\n%s", diff)
	}
}

func TestACopyOfAnInjectedPodWithoutItsAnnotationIsInjected(t *testing.T) {
	want := mustInject(t, request(pod()))
	bare := want.DeepCopy()
	bare.Annotations = nil
	if diff := cmp.Diff(want, mustInject(t, request(bare))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestACopyFromAnEarlierNamespaceOfTheNameGetsThisOnesStore(t *testing.T) {
	earlier := request(pod())
	earlier.Namespace.UID = "earlier"
	req := request(mustInject(t, earlier))
	if diff := cmp.Diff(mustInject(t, request(pod())), mustInject(t, req)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	old := mustInject(t, request(pod()))
	old.Spec.Containers[0].VolumeMounts[0].SubPathExpr = sidecar.ViewSubPathExpr // as v0.1.0 made it
	if diff := cmp.Diff(mustInject(t, request(pod())), mustInject(t, request(old))); diff != "" {
		t.Errorf("of v0.1.0 (-want +got):\n%s", diff)
	}
}

func TestANamespaceWithoutIdentityIsRefused(t *testing.T) {
	req := request(pod())
	req.Namespace.UID = ""
	if got, skip, err := Inject(req); got != nil || skip != "" || err == nil || !strings.Contains(err.Error(), "UID of the pod's namespace") {
		t.Errorf("got pod %v, skip %q, error %v", got, skip, err)
	}
}

// TestAUseOfKudasVolumesIsRefused tries each kind of container and each kind of
// use, in pods that claim to have been injected.
func TestAUseOfKudasVolumesIsRefused(t *testing.T) {
	uses := map[string]func(*corev1.Container){
		"mounts Kuda's volume kuda-store at /s": mounting(corev1.VolumeMount{Name: "kuda-store", MountPath: "/s"}),
		"mounts Kuda's volume kuda-store at /kuda/data/x": mounting(corev1.VolumeMount{Name: "kuda-store", MountPath: "/kuda/data/x",
			SubPathExpr: "pods/$(KUDA_POD_UID)/view"}),
		"mounts Kuda's volume kuda-store at /v": mounting(corev1.VolumeMount{Name: "kuda-store", MountPath: "/v", ReadOnly: true,
			SubPathExpr: "pods/$(KUDA_POD_UID)/view"}),
		"mounts Kuda's volume kuda-token at /t":            mounting(corev1.VolumeMount{Name: "kuda-token", MountPath: "/t", SubPath: "token"}),
		"mounts Kuda's volume kuda-secret-1 at /kuda/data": mounting(corev1.VolumeMount{Name: "kuda-secret-1", MountPath: "/kuda/data"}),
		"mounts Kuda's volume kuda-claim-1 at /c":          mounting(corev1.VolumeMount{Name: "kuda-claim-1", MountPath: "/c"}),
		"mounts Kuda's volume kuda-identity-1 at /i":       mounting(corev1.VolumeMount{Name: "kuda-identity-1", MountPath: "/i"}),
		"mounts Kuda's volume kuda-plugin-sftp at /p":      mounting(corev1.VolumeMount{Name: "kuda-plugin-sftp", MountPath: "/p"}),
		"more than once": mounting(
			corev1.VolumeMount{Name: "kuda-store", MountPath: "/kuda/data", SubPathExpr: "pods/$(KUDA_POD_UID)/view"},
			corev1.VolumeMount{Name: "kuda-store", MountPath: "/kuda/data/", SubPathExpr: "pods/$(KUDA_POD_UID)/view"}),
		"has Kuda's volume kuda-claim-1 as device /dev/c": func(c *corev1.Container) {
			c.VolumeDevices = []corev1.VolumeDevice{{Name: "kuda-claim-1", DevicePath: "/dev/c"}}
		},
	}
	for want, use := range uses {
		c := corev1.Container{Name: "thief"}
		use(&c)
		for place, change := range map[string]func(*corev1.Pod){
			"container":                         func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, c) },
			"init container before the runtime": func(p *corev1.Pod) { p.Spec.InitContainers = slices.Insert(p.Spec.InitContainers, 0, c) },
			"init container after the runtime":  func(p *corev1.Pod) { p.Spec.InitContainers = append(p.Spec.InitContainers, c) },
		} {
			for kind, p := range map[string]*corev1.Pod{"forged": forged(change), "injected": injectedThen(t, change)} {
				got, _, err := Inject(request(p))
				if got != nil || err == nil || !strings.Contains(err.Error(), "container thief ") || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s of a %s pod: got pod %v, error %v", want, place, kind, got != nil, err)
				}
			}
		}
	}
}

func mounting(mounts ...corev1.VolumeMount) func(*corev1.Container) {
	return func(c *corev1.Container) { c.VolumeMounts = mounts }
}

func injectedThen(t *testing.T, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	p := mustInject(t, request(pod()))
	change(p)
	return p
}

func TestAPodThatReusesAReservedNameIsRefused(t *testing.T) {
	for want, change := range map[string]func(*corev1.Pod){
		"two init containers named kuda-runtime": func(p *corev1.Pod) {
			p.Spec.InitContainers = append(p.Spec.InitContainers, evil(sidecar.ContainerName))
		},
		"two volumes named kuda-store": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeStore}, {Name: sidecar.VolumeStore}}
		},
		"a container named kuda-runtime":  func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, evil(sidecar.ContainerName)) },
		"a container named kuda-plugin-x": func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, evil(sidecar.PluginPrefix+"x")) },
		"defines KUDA_POD_UID": func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{fieldEnv(sidecar.EnvPodUID, "metadata.uid"), {Name: sidecar.EnvPodUID, Value: "another"}}
		},
		"app defines KUDA_POD_UID": func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{fieldEnv(sidecar.EnvPodUID, "metadata.labels['uid']")}
		},
	} {
		if got, _, err := Inject(request(forged(change))); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got pod %v, error %v", want, got != nil, err)
		}
	}
}

func TestTheMountOfAnEarlierContainerIsTakenOut(t *testing.T) {
	p := injectedThen(t, func(p *corev1.Pod) {
		p.Spec.InitContainers = slices.Insert(p.Spec.InitContainers, 0, corev1.Container{
			Name: "early", VolumeMounts: []corev1.VolumeMount{{Name: "kuda-store", MountPath: "/kuda/data", SubPath: "snapshots"}},
		})
	})
	got := mustInject(t, request(p))
	if early := got.Spec.InitContainers[0]; early.Name != "early" || len(early.VolumeMounts) != 0 {
		t.Errorf("the container before the runtime: %+v", early)
	}
	if diff := cmp.Diff(apply(t, got, nil), apply(t, p, Patch(p, got))); diff != "" {
		t.Errorf("the patch (-want +got):\n%s", diff)
	}
}

func TestPodsWhoseProcessesSeeTheRuntimeHaveAStoreOfTheirOwn(t *testing.T) {
	for name, change := range map[string]func(*corev1.Pod){
		"shareProcessNamespace": func(p *corev1.Pod) { p.Spec.ShareProcessNamespace = new(true) },
		"hostPID":               func(p *corev1.Pod) { p.Spec.HostPID = true },
	} {
		req := request(pod(change))
		req.Settings.Store = StoreNode
		req.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
		got := mustInject(t, req)
		if got.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod ||
			slices.ContainsFunc(got.Spec.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil }) {
			t.Errorf("%s: the pod has a store that it shares: %v", name, got.Spec.Volumes)
		}
		if w := Warnings(got, &req.Settings, req.DataSets); len(w) != 2 || !strings.Contains(w[0], name) || !strings.Contains(w[1], "plugins") {
			t.Errorf("%s: warnings %q", name, w)
		}
	}
	got := mustInject(t, request(pod(func(p *corev1.Pod) { p.Spec.ShareProcessNamespace = new(false) })))
	if got.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StoreNode || len(processWarnings(got)) != 0 {
		t.Errorf("a pod that shares nothing: %v, %q", got.Annotations, processWarnings(got))
	}
}

func TestResourcesStayRaisedButNeverLowered(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{}
		for name, value := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
			if value != "" {
				l[name] = resource.MustParse(value)
			}
		}
		return l
	}
	want := corev1.ResourceRequirements{Requests: list("10m", "32Mi"), Limits: list("", "256Mi")}
	for name, c := range map[string]struct{ have, want corev1.ResourceRequirements }{
		"none":    {corev1.ResourceRequirements{}, want},
		"lowered": {corev1.ResourceRequirements{Requests: list("1m", "1Mi"), Limits: list("5m", "2Mi")}, want},
		"raised": {corev1.ResourceRequirements{Requests: list("100m", "64Mi"), Limits: list("", "512Mi")},
			corev1.ResourceRequirements{Requests: list("100m", "64Mi"), Limits: list("", "512Mi")}},
		"a limit where none was": {corev1.ResourceRequirements{Limits: list("500m", "")},
			corev1.ResourceRequirements{Requests: list("10m", "32Mi"), Limits: list("500m", "256Mi")}},
		"a request above a limit": {corev1.ResourceRequirements{Requests: list("", "1Gi")},
			corev1.ResourceRequirements{Requests: list("10m", "1Gi"), Limits: list("", "1Gi")}},
		"devices": {corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"example.com/gpu": resource.MustParse("8")}, Claims: []corev1.ResourceClaim{{Name: "gpu"}},
		}, want},
	} {
		if diff := cmp.Diff(c.want, mergeResources(c.have, want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
