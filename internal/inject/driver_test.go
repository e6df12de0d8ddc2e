// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// driven is a request to an installation with kuda-node.
func driven(r Request) Request {
	r.Settings.NodeDriver = sidecar.CSIDriver
	return r
}

func preheatRequest() Request {
	return request(pod(func(p *corev1.Pod) {
		p.Labels = map[string]string{v1alpha1.LabelPreheat: "conf"}
		p.Spec.Containers = []corev1.Container{{Name: sidecar.PreheatContainer, Image: sidecar.PreheatImage}}
	}))
}

// inRange are the annotations of a namespace that OpenShift made.
func inRange(text string) map[string]string { return map[string]string{annotationUserRange: text} }

func TestWhereKudaNodeIsTheStoreIsTheNodesWhateverThePodSecurityLevel(t *testing.T) {
	for _, level := range []string{"", "privileged", "baseline", "restricted"} {
		for mode, want := range map[StoreMode]string{StoreAuto: sidecar.StoreNode, StoreNode: sidecar.StoreNode, StorePod: sidecar.StorePod} {
			req := driven(request(pod()))
			req.Settings.Store, req.Namespace.Labels = mode, map[string]string{labelEnforce: level}
			p := mustInject(t, req)
			if got := p.Annotations[v1alpha1.AnnotationStore]; got != want || (p.Spec.Volumes[0].CSI != nil) != (want == sidecar.StoreNode) {
				t.Errorf("mode %s, level %q: got %s, %+v", mode, level, got, p.Spec.Volumes[0])
			}
			if slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil }) {
				t.Errorf("mode %s, level %q: the pod mounts a directory of the node", mode, level)
			}
		}
	}
}

func TestTheLevelOfNamespacesThatNameNoneIsTheAPIServers(t *testing.T) {
	for _, c := range []struct{ label, byDefault, want string }{
		{"", "", sidecar.StoreNode}, {"", "privileged", sidecar.StoreNode}, {"", "baseline", sidecar.StorePod},
		{"", "restricted", sidecar.StorePod}, {"privileged", "baseline", sidecar.StoreNode}, {"baseline", "privileged", sidecar.StorePod},
	} {
		req := request(pod())
		req.Settings.SecurityDefault = c.byDefault
		if c.label != "" {
			req.Namespace.Labels = map[string]string{labelEnforce: c.label}
		}
		if got := mustInject(t, req).Annotations[v1alpha1.AnnotationStore]; got != c.want {
			t.Errorf("label %q, default %q: got %s, want %s", c.label, c.byDefault, got, c.want)
		}
	}
}

func TestWhoOptsOutOfTheNodeStoreHasOneOfTheirOwn(t *testing.T) {
	optOut := map[string]string{v1alpha1.LabelStore: v1alpha1.StorePod}
	for _, driver := range []string{"", sidecar.CSIDriver} {
		for _, mode := range []StoreMode{StoreAuto, StoreNode} {
			byPod := request(pod(func(p *corev1.Pod) { p.Labels[v1alpha1.LabelStore] = v1alpha1.StorePod }))
			byNamespace := request(pod())
			byNamespace.Namespace.Labels = optOut
			for whose, req := range map[string]Request{"the pod": byPod, "the namespace": byNamespace} {
				req.Settings.Store, req.Settings.NodeDriver = mode, driver
				p := mustInject(t, req)
				if p.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod || p.Spec.Volumes[0].EmptyDir == nil {
					t.Errorf("%s, driver %q, mode %s: %+v", whose, driver, mode, p.Spec.Volumes[0])
				}
			}
		}
	}
}

func TestAnOptOutThatMeansNothingIsRefused(t *testing.T) {
	for _, value := range []string{"", "node", "Pod"} {
		byPod := request(pod(func(p *corev1.Pod) { p.Labels[v1alpha1.LabelStore] = value }))
		byNamespace := request(pod())
		byNamespace.Namespace.Labels = map[string]string{v1alpha1.LabelStore: value}
		for want, req := range map[string]Request{"the pod has": byPod, "the pod's namespace has": byNamespace} {
			if got, _, err := Inject(req); got != nil || err == nil || !strings.Contains(err.Error(), want+" the label kuda.io/store="+value+";") {
				t.Errorf("value %q: got pod %v, error %v", value, got != nil, err)
			}
		}
		if why := Obstacle(byPod.Pod, ""); !strings.Contains(why, "kuda.io/store") {
			t.Errorf("value %q: the obstacle is %q", value, why)
		}
	}
}

func TestRuntimesOfOneStoreAreOneUserOnTheDisk(t *testing.T) {
	for text, want := range map[string]int64{
		"": 65532, "1000650000/10000": 1000650000, "1000650000-1000659999": 1000650000,
		// What names no user, or root.
		"0/10000": 65532, "-1/3": 65532, "many": 65532, "01/3": 65532, "99999999999/3": 65532, "1000650000": 65532,
	} {
		for _, mode := range []StoreMode{StoreAuto, StorePod} {
			req := driven(request(pod()))
			req.Settings.Store, req.Namespace.Annotations = mode, inRange(text)
			req.DataSets = []*v1alpha1.DataSet{dataSet("all", everySource)}
			p := mustInject(t, req)
			for i := range p.Spec.InitContainers {
				s := p.Spec.InitContainers[i].SecurityContext
				if *s.RunAsUser != want || *s.RunAsGroup != want || !*s.RunAsNonRoot {
					t.Errorf("%q, mode %s: %s runs as %d:%d", text, mode, p.Spec.InitContainers[i].Name, *s.RunAsUser, *s.RunAsGroup)
				}
			}
			for _, v := range p.Spec.Volumes {
				if v.CSI == nil {
					continue
				}
				if got, ok := v.CSI.VolumeAttributes[sidecar.AttributeUser]; ok != (want != sidecar.RuntimeUser) || ok && got != "1000650000" {
					t.Errorf("%q: volume %s has user %q", text, v.Name, got)
				}
			}
		}
	}
}

func TestUsersAreMappedOnce(t *testing.T) {
	for _, c := range []struct {
		uids, want string
		ownUsers   bool
	}{
		{"", sidecar.StoreNode, false}, {"", sidecar.StoreNode, true}, {"1000650000/10000", sidecar.StoreNode, false},
		{"1000650000/10000", sidecar.StorePod, true},
	} {
		req := driven(request(pod(func(p *corev1.Pod) { p.Spec.HostUsers = new(!c.ownUsers) })))
		req.Namespace.Annotations = inRange(c.uids)
		if got := mustInject(t, req).Annotations[v1alpha1.AnnotationStore]; got != c.want {
			t.Errorf("range %q, users of its own %t: got %s, want %s", c.uids, c.ownUsers, got, c.want)
		}
	}
}

func TestTheSELinuxLevelIsThatOfRuntimesOfKudaNodeOnly(t *testing.T) {
	for driver, want := range map[string]*corev1.SELinuxOptions{"": nil, sidecar.CSIDriver: {Level: "s0"}} {
		req := request(pod())
		req.Settings.NodeDriver, req.Settings.SELinuxLevel = driver, "s0"
		if diff := cmp.Diff(want, mustInject(t, req).Spec.InitContainers[0].SecurityContext.SELinuxOptions); diff != "" {
			t.Errorf("driver %q (-want +got):\n%s", driver, diff)
		}
	}
}

func TestAnApplicationOfKudaNodeSeesItsViewAndNothingElse(t *testing.T) {
	p := mustInject(t, driven(request(pod(func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "prepare"}}
		// A name that means nothing to Kuda here.
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: sidecar.EnvPodUID, Value: "own"}}
	}))))
	view := []corev1.VolumeMount{{Name: sidecar.VolumeView, MountPath: "/kuda/data", ReadOnly: true}}
	for _, c := range []corev1.Container{p.Spec.InitContainers[1], p.Spec.Containers[0]} {
		if diff := cmp.Diff(view, c.VolumeMounts); diff != "" {
			t.Errorf("%s mounts (-want +got):\n%s", c.Name, diff)
		}
	}
	port := corev1.EnvVar{Name: sidecar.EnvServerPort, Value: "8888"}
	if diff := cmp.Diff([]corev1.EnvVar{{Name: sidecar.EnvPodUID, Value: "own"}, port}, p.Spec.Containers[0].Env); diff != "" {
		t.Errorf("the variables (-want +got):\n%s", diff)
	}
	for _, m := range p.Spec.InitContainers[0].VolumeMounts {
		if m.Name == sidecar.VolumeView {
			t.Error("the runtime mounts the view")
		}
	}
}

// What a pod brings under the names of Kuda's volumes, of which kind ever, is made anew.
func TestNothingOfForgedVolumesOfKudaNodeStays(t *testing.T) {
	own := func(driver string, attributes map[string]string) corev1.VolumeSource {
		return corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: driver, VolumeAttributes: attributes, FSType: new("ext4"),
			NodePublishSecretRef: &corev1.LocalObjectReference{Name: "billing"}}}
	}
	want := mustInject(t, driven(request(pod())))
	for name, source := range map[string]corev1.VolumeSource{
		"another namespace's": own(sidecar.CSIDriver, map[string]string{"kind": "store", "namespaceUID": "another", "user": "0"}),
		"another driver's":    own("csi.example.com", nil),
		"the node's":          {HostPath: &corev1.HostPathVolumeSource{Path: "/"}},
	} {
		req := driven(request(forged(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeStore, VolumeSource: source}, {Name: sidecar.VolumeView, VolumeSource: source}}
		})))
		got := mustInject(t, req)
		if diff := cmp.Diff(want.Spec, got.Spec); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(apply(t, got, nil), apply(t, req.Pod, Patch(req.Pod, got))); diff != "" {
			t.Errorf("%s: the patch (-want +got):\n%s", name, diff)
		}
	}
}

func TestAUseOfVolumesOfKudaNodeIsRefused(t *testing.T) {
	uses := map[string]func(*corev1.Container){
		"mounts Kuda's volume kuda-store at /s": mounting(corev1.VolumeMount{Name: "kuda-store", MountPath: "/s", ReadOnly: true}),
		"mounts Kuda's volume kuda-view at /v":  mounting(corev1.VolumeMount{Name: "kuda-view", MountPath: "/v", ReadOnly: true}),
		"more than once": mounting(corev1.VolumeMount{Name: "kuda-store", MountPath: "/kuda/data"},
			corev1.VolumeMount{Name: "kuda-view", MountPath: "/kuda/data/"}),
		"has Kuda's volume kuda-view as device /dev/v": func(c *corev1.Container) {
			c.VolumeDevices = []corev1.VolumeDevice{{Name: "kuda-view", DevicePath: "/dev/v"}}
		},
	}
	for want, use := range uses {
		p := mustInject(t, driven(request(pod())))
		c := corev1.Container{Name: "thief"}
		use(&c)
		p.Spec.Containers = append(p.Spec.Containers, c)
		if got, _, err := Inject(driven(request(p))); got != nil || err == nil || !strings.Contains(err.Error(), "thief") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got pod %v, error %v", want, got != nil, err)
		}
	}
	plain := request(pod(func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeView}} }))
	if got, _, err := Inject(driven(plain)); got != nil || err == nil || !strings.Contains(err.Error(), "a volume named kuda-view") {
		t.Errorf("a volume of the name: got pod %v, error %v", got != nil, err)
	}
}

// TestAPodOfOneKindOfStoreIsMadeOneOfTheOther injects copies of pods that run since
// before kuda-node was installed, or taken away.
func TestAPodOfOneKindOfStoreIsMadeOneOfTheOther(t *testing.T) {
	mounted, made := request(pod()), driven(request(pod()))
	for name, c := range map[string]struct{ from, to Request }{"to kuda-node": {mounted, made}, "from kuda-node": {made, mounted}} {
		p, want := mustInject(t, c.from), mustInject(t, c.to)
		c.to.Pod = p
		got := mustInject(t, c.to)
		if diff := cmp.Diff(want.Spec.InitContainers, got.Spec.InitContainers); diff != "" {
			t.Errorf("%s: the runtime (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want.Spec.Containers[0].VolumeMounts, got.Spec.Containers[0].VolumeMounts); diff != "" {
			t.Errorf("%s: the application's mounts (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(apply(t, got, nil), apply(t, p, Patch(p, got))); diff != "" {
			t.Errorf("%s: the patch (-want +got):\n%s", name, diff)
		}
	}
}

func TestACopyOfAPodOfKudaNodeHasAStoreOfItsOwnOrNoneOfKudas(t *testing.T) {
	p := mustInject(t, driven(request(pod())))
	p.Name, p.GenerateName, p.Annotations, p.Spec.ShareProcessNamespace = "copy", "", nil, new(true)
	got := mustInject(t, driven(request(p)))
	if got.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StorePod ||
		slices.ContainsFunc(got.Spec.Volumes, func(v corev1.Volume) bool { return v.CSI != nil }) ||
		got.Spec.Containers[0].VolumeMounts[0].SubPathExpr != sidecar.ViewSubPathExpr {
		t.Errorf("%v, volumes %v, mounts %v", got.Annotations, got.Spec.Volumes, got.Spec.Containers[0].VolumeMounts)
	}
	bare := Disown(p)
	if bare == nil || len(bare.Spec.Volumes) != 0 || len(bare.Spec.Containers[0].VolumeMounts) != 0 || len(bare.Spec.InitContainers) != 0 {
		t.Errorf("a copy that no DataSet selects: %+v", bare)
	}
}

func TestFilesOfKudaNodeBelongToTheRuntimesUser(t *testing.T) {
	for uids, want := range map[string]string{"": "user 65532", "1000650000/10000": "user 1000650000"} {
		req := driven(request(pod(func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1000)), FSGroup: new(int64(2000))}
		})))
		req.Namespace.Annotations, req.DataSets = inRange(uids), []*v1alpha1.DataSet{withMode("web", 0o640)}
		got := strings.Join(Warnings(mustInject(t, req), &req.Settings, req.DataSets), "\n")
		if !strings.Contains(got, want) || strings.Contains(got, "fsGroup") {
			t.Errorf("range %q: warned %q", uids, got)
		}
	}
}
