// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && !hostpath

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Names of kuda-node, as deploy/node writes them.
const (
	nodeNamespace = "kuda-node"
	nodeDaemonSet = "kuda-node"
	nodeProgram   = "kuda-node"
)

func TestTwelvePodsOfARestrictedNamespaceCostOneDownload(t *testing.T) {
	ns := newNamespace(t, restrictedLabels())
	const size, key = 64 << 20, "restricted/large.bin"
	store.putLarge(t, key, size)
	ds := dataSet(ns, "shared", item("large", key, "v1"))
	create(t, ds)
	d := deployment(ns, "shared", 12, "wait")
	d.Spec.Template.Spec.NodeName = "node2"
	restrict(&d.Spec.Template.Spec)
	before := store.served(key)
	create(t, d)
	waitDelivered(t, ds, 12, 3*time.Minute)
	// MinIO's records come a moment later than its answers.
	eventually(t, 20*time.Second, func(context.Context) error {
		if got := store.served(key).bytes - before.bytes; got < size {
			return fmt.Errorf("MinIO has recorded %d bytes", got)
		}
		return nil
	})
	sent := store.served(key).bytes - before.bytes
	t.Logf("12 pods of a restricted namespace: MinIO served %d bytes of an object of %d", sent, size)
	if sent > size+size/20 {
		t.Errorf("MinIO served %d bytes for an object of %d: more than one download", sent, size)
	}
	for _, p := range pods(t, ns, "shared") {
		for _, v := range p.Spec.Volumes {
			if v.HostPath != nil {
				t.Errorf("pod %s mounts %s of the node", p.Name, v.HostPath.Path)
			}
		}
		if slices.ContainsFunc(p.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == sidecar.EnvPodUID }) {
			t.Errorf("the application of pod %s has the variable %s", p.Name, sidecar.EnvPodUID)
		}
	}
}

func TestPodsThatOptOutHaveStoresOfTheirOwn(t *testing.T) {
	optOut := map[string]string{v1alpha1.LabelStore: v1alpha1.StorePod}
	for name, c := range map[string]struct{ namespace, pod map[string]string }{
		"the pod": {nil, optOut}, "the namespace": {optOut, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t, c.namespace)
			key := "optout/" + ns
			store.put(t, key, []byte(delivered))
			ds := dataSet(ns, "apart", item("x", key, "v1"))
			create(t, ds)
			for i := range 2 {
				p := onBattlefield(ns, fmt.Sprintf("p-%d", i), "apart")
				for k, v := range c.pod {
					p.Labels[k] = v
				}
				create(t, p)
				if got := p.Annotations[v1alpha1.AnnotationStore]; got != v1alpha1.StorePod || usesDriver(p) {
					t.Errorf("store %q, volumes of kuda-node: %t", got, usesDriver(p))
				}
			}
			waitDelivered(t, ds, 2, time.Minute)
			eventually(t, 20*time.Second, func(context.Context) error {
				if got := store.served(key).requests; got < 2 {
					return fmt.Errorf("the source was asked %d times by 2 pods", got)
				}
				return nil
			})
		})
	}
}

func usesDriver(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.CSI != nil && v.CSI.Driver == sidecar.CSIDriver })
}

func TestAnFSGroupChangesNoFileOfAStore(t *testing.T) {
	const files = 20_000
	ns := newNamespace(t, nil)
	store.put(t, "fsgroup/x.txt", []byte(delivered))
	ds := dataSet(ns, "grouped", item("x", "fsgroup/x.txt", "v1"))
	create(t, ds)
	create(t, onBattlefield(ns, "first", "grouped"))
	waitDelivered(t, ds, 1, time.Minute)
	// Beside what Kuda has in the store, where nothing but the kubelet would change it.
	at := storeDirectory(t, ns) + "/e2e"
	script := fmt.Sprintf("mkdir -p %[1]s && cd %[1]s && seq 1 %[2]d | sed 's/^/f/' | xargs touch && "+
		"chown -R 65532:65532 . && chmod -R go-w .", at, files)
	if out, err := onNode("sh", "-c", script); err != nil {
		t.Fatalf("making %d files: %v %s", files, err, out)
	}
	look := func() string {
		out, err := onNode("sh", "-c", "find "+at+` -printf '%i %u %g %m %C@\n' | sort`)
		if err != nil {
			t.Fatal(err, out)
		}
		if n := strings.Count(out, "\n"); n != files+1 {
			t.Fatalf("the directory has %d inodes, want %d", n, files+1)
		}
		return out
	}
	before := look()
	p := onBattlefield(ns, "second", "grouped", func(p *corev1.Pod) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr.To[int64](2000)}
	})
	create(t, p)
	waitDelivered(t, ds, 2, time.Minute)
	if got := reads(t, p, "x"); got != delivered {
		t.Errorf("the application reads %q", got)
	}
	if after := look(); after != before {
		was, changed := strings.Split(before, "\n"), 0
		for i, line := range strings.Split(after, "\n") {
			if i >= len(was) || line != was[i] {
				changed++
			}
		}
		t.Errorf("a pod with an fsGroup changed %d of %d inodes", changed, files+1)
	}
}

func TestHostilePodsGetNoStore(t *testing.T) {
	ns := newNamespace(t, nil)
	uid := namespaceUID(t, ns)
	volume := func(kind string, change ...func(*corev1.CSIVolumeSource)) corev1.VolumeSource {
		v := &corev1.CSIVolumeSource{Driver: sidecar.CSIDriver, VolumeAttributes: map[string]string{
			sidecar.AttributeKind: kind, sidecar.AttributeNamespaceUID: uid}}
		for _, f := range change {
			f(v)
		}
		return corev1.VolumeSource{CSI: v}
	}
	attribute := func(key, value string) func(*corev1.CSIVolumeSource) {
		return func(v *corev1.CSIVolumeSource) { v.VolumeAttributes[key] = value }
	}
	with := func(name string, source corev1.VolumeSource, change ...func(*corev1.Pod)) *corev1.Pod {
		return onBattlefield(ns, "hostile", "none", append([]func(*corev1.Pod){func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: name, VolumeSource: source}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: name, MountPath: "/x"}}
			p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](65532)}
		}}, change...)...)
	}
	forged := func(p *corev1.Pod) {
		p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
		p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "set", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
	}
	for name, p := range map[string]*corev1.Pod{
		"the store in an application": with("x", volume(sidecar.CSIKindStore)),
		"the store by its name":       with(sidecar.VolumeStore, volume(sidecar.CSIKindStore)),
		"a view to write in":          with(sidecar.VolumeView, volume(sidecar.CSIKindView)),
		"a kind that leads elsewhere": with("x", volume("../../etc")),
		"no attribute":                with("x", corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: sidecar.CSIDriver}}),
		"another namespace": with("x", volume(sidecar.CSIKindView, func(v *corev1.CSIVolumeSource) {
			v.VolumeAttributes[sidecar.AttributeNamespaceUID] = namespaceUID(t, "default")
		})),
		"what the kubelet is to say": with("x", volume(sidecar.CSIKindView, attribute("csi.storage.k8s.io/pod.namespace", "default"))),
		"another user":               with("x", volume(sidecar.CSIKindView, attribute(sidecar.AttributeUser, "0"))),
		"a runtime of its own":       with(sidecar.VolumeStore, volume(sidecar.CSIKindStore), forged),
		"a runtime by the name": with(sidecar.VolumeStore, volume(sidecar.CSIKindStore), forged,
			func(p *corev1.Pod) { p.Spec.Containers[0].Name = sidecar.ContainerName }),
		"a sidecar by the name": with(sidecar.VolumeStore, volume(sidecar.CSIKindStore), forged, func(p *corev1.Pod) {
			c := p.Spec.Containers[0]
			c.Name, c.RestartPolicy = sidecar.ContainerName, ptr.To(corev1.ContainerRestartPolicyAlways)
			p.Spec.InitContainers, p.Spec.Containers[0].VolumeMounts = []corev1.Container{c}, nil
		}),
	} {
		err := kube.Create(t.Context(), p, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "kuda-node-volumes") && !strings.Contains(err.Error(), "kuda-store-identity") {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Who may add containers to a running pod does not reach its store by that.
	store.put(t, "hostile/x.txt", []byte(delivered))
	ds := dataSet(ns, "victim", item("x", "hostile/x.txt", "v1"))
	create(t, ds)
	p := onBattlefield(ns, "victim", "victim")
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	waitRunning(t, ns, "victim", 1)
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debugger", Image: appImage, Args: []string{"wait"}, ImagePullPolicy: corev1.PullIfNotPresent,
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		VolumeMounts:             []corev1.VolumeMount{{Name: sidecar.VolumeStore, MountPath: "/store"}},
	}}}
	if err := kube.SubResource("ephemeralcontainers").Update(t.Context(), p); err == nil {
		t.Error("a debugging container mounts the store")
	}
	for _, at := range []string{"/kuda/data/x", "/kuda/data/new"} {
		if out, err := tryKubectl("-n", ns, "exec", p.Name, "-c", "app", "--", "/e2e-app", "touch", at); err == nil ||
			!strings.Contains(out, "read-only file system") {
			t.Errorf("the application writes %s: %v %s", at, err, out)
		}
	}
}

// TestAStoreIsSharedByPodsOfDifferentUsers has runtimes of another user in a namespace that
// has the annotation by which OpenShift gives users to namespaces; kuda-node maps the
// store's one owner to them.
func TestAStoreIsSharedByPodsOfDifferentUsers(t *testing.T) {
	ns := newNamespace(t, restrictedLabels())
	const key = "users/large.bin"
	store.putLarge(t, key, 20<<20)
	ds := dataSet(ns, "users", item("large", key, "v1"))
	create(t, ds)
	before := store.served(key).bytes
	for i, user := range []string{"", "1000650000"} {
		if user != "" {
			kubectl(t, "annotate", "namespace", ns, "openshift.io/sa.scc.uid-range="+user+"/10000")
		}
		p := onBattlefield(ns, fmt.Sprintf("p-%d", i), "users", func(p *corev1.Pod) { restrict(&p.Spec) })
		// The webhook may not have heard of the annotation yet.
		eventually(t, 20*time.Second, func(ctx context.Context) error {
			probe := p.DeepCopy()
			if err := kube.Create(ctx, probe, client.DryRunAll); err != nil {
				return err
			}
			if got := runtimeUser(probe); user != "" && fmt.Sprint(got) != user {
				return fmt.Errorf("the runtime is to run as user %d", got)
			}
			return nil
		})
		create(t, p)
		waitDelivered(t, ds, int32(i+1), time.Minute)
		inPod(t, *p, "check", "/kuda/data/large")
	}
	pauseForRecords(t)
	if sent := store.served(key).bytes - before; sent > 21<<20 {
		t.Errorf("MinIO served %d bytes: the pod of the other user did not find the snapshot", sent)
	}
	out, err := onNode("sh", "-c", "find "+storeDirectory(t, ns)+" ! -user 65532 | head -3")
	if err != nil || out != "" {
		t.Errorf("on the disk, not all belongs to user 65532: %v %s", err, out)
	}
}

// runtimeUser is the user of an injected pod's runtime; -1 if it has none.
func runtimeUser(p *corev1.Pod) int64 {
	for _, c := range p.Spec.InitContainers {
		if c.Name == sidecar.ContainerName && c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
			return *c.SecurityContext.RunAsUser
		}
	}
	return -1
}

// pauseForRecords lets MinIO's records of what it sent arrive.
func pauseForRecords(t *testing.T) { pause(t, 2*time.Second) }

// daemonSet reads kuda-node's.
func daemonSet(ctx context.Context) (*appsv1.DaemonSet, error) {
	d := &appsv1.DaemonSet{}
	err := kube.Get(ctx, client.ObjectKey{Namespace: nodeNamespace, Name: nodeDaemonSet}, d)
	return d, err
}

// changeDaemonSet changes kuda-node until the test is over, and waits until that is so on
// all nodes, before and after.
func changeDaemonSet(t *testing.T, change func(*corev1.PodSpec)) {
	t.Helper()
	var before corev1.PodTemplateSpec
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		d, err := daemonSet(ctx)
		if err != nil {
			return err
		}
		before = *d.Spec.Template.DeepCopy()
		change(&d.Spec.Template.Spec)
		return kube.Update(ctx, d)
	})
	t.Cleanup(func() {
		restoreDaemonSet(t, before)
	})
	waitDaemonSet(t)
}

func restoreDaemonSet(t *testing.T, template corev1.PodTemplateSpec) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		d, err := daemonSet(ctx)
		if err == nil {
			d.Spec.Template = template
			err = kube.Update(ctx, d)
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Errorf("putting kuda-node back: %v", err)
			return
		}
	}
	if out, err := tryKubectl("-n", nodeNamespace, "rollout", "status", "daemonset/"+nodeDaemonSet, "--timeout=120s"); err != nil {
		t.Errorf("putting kuda-node back: %v %s", err, out)
	}
}

// waitDaemonSet waits until kuda-node is as it is to be, wherever it is to be.
func waitDaemonSet(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		d, err := daemonSet(ctx)
		if err != nil {
			return err
		}
		s := d.Status
		if s.ObservedGeneration != d.Generation || s.UpdatedNumberScheduled != s.DesiredNumberScheduled ||
			s.NumberReady != s.DesiredNumberScheduled || s.CurrentNumberScheduled != s.DesiredNumberScheduled {
			return fmt.Errorf("kuda-node is not rolled out: %+v", s)
		}
		if s.DesiredNumberScheduled == 0 && len(nodeProcesses("driver", "")) > 0 {
			return errors.New("a driver still runs")
		}
		return nil
	})
}

// nodeProcesses are the processes of a command of kuda-node, in the pod of that UID, or in
// any.
func nodeProcesses(command, uid string) []int {
	var found []int
	for pid, cgroup := range processesOf(nodeProgram) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(line), "\x00"+command) && strings.Contains(cgroup, "kubepods") && strings.Contains(cgroup, uid) {
			found = append(found, pid)
		}
	}
	return found
}

// nodePod is kuda-node's pod on a node.
func nodePod(t *testing.T, node string) corev1.Pod {
	t.Helper()
	d, err := daemonSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	var list corev1.PodList
	if err := kube.List(t.Context(), &list, client.InNamespace(nodeNamespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		if p.Spec.NodeName == node && p.DeletionTimestamp == nil {
			return p
		}
	}
	t.Fatalf("no pod of kuda-node is on %s", node)
	return corev1.Pod{}
}
