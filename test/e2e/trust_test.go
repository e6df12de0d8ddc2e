// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// The tests of this file are attacks of tenants on each other's data, on one node.
const battlefield = "node1"

// onBattlefield is a pod of a DataSet that waits, on the node.
func onBattlefield(namespace, name, app string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := pod(namespace, name, app, "wait")
	p.Spec.NodeName = battlefield
	for _, c := range change {
		c(p)
	}
	return p
}

// reads returns what the application of a pod reads of an item, once it runs.
func reads(t *testing.T, p *corev1.Pod, item string) string {
	t.Helper()
	return inPod(t, *p, "check", "/kuda/data/"+item)
}

func TestForgedBytesStayWithTheAuthorOfTheProxy(t *testing.T) {
	ns := newNamespace(t, nil)
	truth, forged := "what the owner stored\n", "what the author forged"
	store.put(t, "trust/poison.txt", []byte(truth))
	author := dataSet(ns, "author", item("x", "trust/poison.txt", "v1"))
	author.Spec.Template.DataSources.MinIO.Proxy = newForger(t, "trust/poison.txt", []byte(forged))
	create(t, author)
	mine := onBattlefield(ns, "author", "author")
	create(t, mine)
	waitDelivered(t, author, 1, time.Minute)
	if got := reads(t, mine, "x"); got != forged {
		t.Fatalf("the proxy forges nothing: its own author reads %q", got)
	}

	victim := dataSet(ns, "victim", item("x", "trust/poison.txt", "v1"))
	create(t, victim)
	theirs := onBattlefield(ns, "victim", "victim")
	create(t, theirs)
	waitDelivered(t, victim, 1, time.Minute)
	if got := reads(t, theirs, "x"); got != truth {
		t.Errorf("the victim reads %q", got)
	}
}

func TestPrivateBytesNeedCredentialsOfOnesOwn(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "trust/private.txt", []byte("private\n"))
	owner := dataSet(ns, "owner", item("x", "trust/private.txt", "v1"))
	create(t, owner)
	create(t, onBattlefield(ns, "owner", "owner"))
	waitDelivered(t, owner, 1, time.Minute)

	thief := dataSet(ns, "thief", item("x", "trust/private.txt", "v1"))
	thief.Spec.Template.DataSources.MinIO.SecretRef = nil
	thief.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
	create(t, thief)
	p := onBattlefield(ns, "thief", "thief")
	create(t, p)
	waitDenied(t, ns, "thief")
	if out, err := tryKubectl("-n", ns, "exec", p.Name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/x"); err == nil {
		t.Errorf("it reads %q", out)
	}
}

// waitDenied waits until the only item of a DataSet's pod is refused by the source.
func waitDenied(t *testing.T, namespace, set string) {
	t.Helper()
	eventually(t, time.Minute, func(ctx context.Context) error {
		var list v1alpha1.DataList
		if err := kube.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelDataSet: set}); err != nil {
			return err
		}
		if len(list.Items) != 1 || len(list.Items[0].Status.DataItemsStatus) != 1 {
			return fmt.Errorf("%d Data, want 1 with a status of 1 item", len(list.Items))
		}
		if s := list.Items[0].Status.DataItemsStatus[0]; s.Reason != v1alpha1.ReasonAccessDenied {
			return fmt.Errorf("reason %q (%s), phase %s", s.Reason, s.Message, s.Phase)
		}
		return nil
	})
}

// remakeNamespace deletes a namespace and, once it is gone, makes another of the name.
func remakeNamespace(t *testing.T, name string, again bool) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := kube.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ns), ns); client.IgnoreNotFound(err) != nil || err == nil {
			return fmt.Errorf("namespace %s is still there (%w)", name, err)
		}
		return nil
	})
	if again {
		ns = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		create(t, ns)
		t.Cleanup(func() { _ = kube.Delete(context.Background(), ns) })
	}
}

func TestANamespaceThatIsMadeAgainFindsNoDataOfTheOneBefore(t *testing.T) {
	name := fmt.Sprintf("e2e-again-%d", time.Now().UnixNano())
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: credentials, Namespace: name},
		StringData: map[string]string{"accessKey": storageUser, "secretKey": storagePassword}})
	store.put(t, "trust/again.txt", []byte("of the first tenant\n"))
	first := dataSet(name, "set", item("x", "trust/again.txt", "v1"))
	create(t, first)
	create(t, onBattlefield(name, "first", "set"))
	waitDelivered(t, first, 1, time.Minute)
	remakeNamespace(t, name, true)

	// The second tenant has no credentials, and asks for the very same.
	second := dataSet(name, "set", item("x", "trust/again.txt", "v1"))
	second.Spec.Template.DataSources.MinIO.SecretRef = nil
	second.Spec.StartPolicy = v1alpha1.StartPolicyImmediately
	create(t, second)
	p := onBattlefield(name, "second", "set")
	create(t, p)
	waitDenied(t, name, "set")
	if out, err := tryKubectl("-n", name, "exec", p.Name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/x"); err == nil {
		t.Errorf("it reads %q", out)
	}
}

func TestTheDataOfANamespaceThatIsGoneIsRemovedFromTheNode(t *testing.T) {
	name := fmt.Sprintf("e2e-gone-%d", time.Now().UnixNano())
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	create(t, ns)
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: credentials, Namespace: name},
		StringData: map[string]string{"accessKey": storageUser, "secretKey": storagePassword}})
	store.put(t, "trust/gone.txt", []byte("x\n"))
	ds := dataSet(name, "set", item("x", "trust/gone.txt", "v1"))
	create(t, ds)
	create(t, onBattlefield(name, "p", "set"))
	waitDelivered(t, ds, 1, time.Minute)
	waitHolders(t, ds, 20*time.Second, battlefield)
	at := namespaceDirectory(name)
	if out, err := onNode("ls", at+"/"+string(ns.UID)+"/snapshots"); err != nil {
		t.Fatalf("the store is not where it is looked for: %v %s", err, out)
	}
	remakeNamespace(t, name, false)
	eventually(t, 2*time.Minute, func(context.Context) error {
		if out, err := onNode("ls", "-d", at); err == nil {
			return fmt.Errorf("still there: %s", out)
		}
		return nil
	})
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		var s v1alpha1.NodeStore
		if err := kube.Get(ctx, client.ObjectKey{Name: battlefield}, &s); err != nil {
			return err
		}
		if slices.ContainsFunc(s.Status.Directories, func(d v1alpha1.StoreDirectory) bool { return d.Namespace == name }) ||
			!byDriver && !s.Status.Closed {
			return fmt.Errorf("closed %t, directories %v", s.Status.Closed, s.Status.Directories)
		}
		return nil
	})
	if out, err := onNode("stat", "-c", "%a", path.Dir(at)); err != nil || strings.TrimSpace(out) != "700" {
		t.Errorf("the directory of the stores has mode %s, %v", out, err)
	}
}

// onNode runs a program on the battlefield.
func onNode(args ...string) (string, error) {
	return runOn(battlefield, args...)
}

func TestAPodThatSharesItsProcessesReachesNothingOfTheRuntimes(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "trust/shared.txt", []byte(delivered))
	ds := dataSet(ns, "set", item("x", "trust/shared.txt", "v1"))
	create(t, ds)
	victim := onBattlefield(ns, "victim", "set")
	create(t, victim)
	waitDelivered(t, ds, 1, time.Minute)
	for i, user := range []int64{0, 65532} {
		thief := onBattlefield(ns, fmt.Sprintf("thief-%d", user), "set", func(p *corev1.Pod) {
			p.Spec.ShareProcessNamespace = ptr.To(true)
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: &user}
		})
		create(t, thief)
		waitDelivered(t, ds, int32(i+2), time.Minute)
		got := inPod(t, *thief, "steal", "/kuda-runtime")
		if strings.TrimSpace(got) != "sees /kuda-runtime" {
			t.Errorf("user %d gets:\n%s", user, got)
		}
		if at := thief.Annotations[v1alpha1.AnnotationStore]; at != v1alpha1.StorePod {
			t.Errorf("user %d: the pod's store is %q", user, at)
		}
	}
	if got := reads(t, victim, "x"); got != delivered {
		t.Errorf("the victim reads %q", got)
	}
}

func TestTheStoresAreClosedToOtherUsersOfTheNode(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "trust/mode.txt", []byte(delivered))
	ds := dataSet(ns, "set", item("x", "trust/mode.txt", "v1"))
	create(t, ds)
	victim := onBattlefield(ns, "victim", "set", func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: ptr.To[int64](1234)}
	})
	create(t, victim)
	waitDelivered(t, ds, 1, time.Minute)
	if got := reads(t, victim, "x"); got != delivered {
		t.Errorf("an application of another user reads %q", got)
	}
	// Where kuda-node makes the stores, they belong to the runtimes' user.
	user := int64(65532)
	if byDriver {
		user = 4321
	}
	spy := onBattlefield(ns, "spy", "none", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "host",
			VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: storesDirectory}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "host", MountPath: "/host", ReadOnly: true}}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: &user, RunAsGroup: &user}
	})
	create(t, spy)
	below := "/host" + strings.TrimPrefix(storeDirectory(t, ns), storesDirectory)
	for _, at := range []string{path.Dir(below), below, below + "/snapshots"} {
		kubectl(t, "-n", ns, "wait", "--for=jsonpath={.status.phase}=Running", "--timeout=60s", "pod/spy")
		if out, err := tryKubectl("-n", ns, "exec", "spy", "-c", "app", "--", "/e2e-app", "list", at); err == nil ||
			!strings.Contains(out, "permission denied") {
			t.Errorf("it lists %s:\n%s", at, out)
		}
	}
}

func namespaceUID(t *testing.T, name string) string {
	t.Helper()
	var ns corev1.Namespace
	if err := kube.Get(t.Context(), client.ObjectKey{Name: name}, &ns); err != nil {
		t.Fatal(err)
	}
	return string(ns.UID)
}

func TestAForgedRuntimeIsMadeAnew(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "trust/forged.txt", []byte(delivered))
	ds := dataSet(ns, "set", item("x", "trust/forged.txt", "v1"))
	create(t, ds)
	forge := func(p *corev1.Pod) {
		p.Annotations = map[string]string{v1alpha1.AnnotationInjected: "set", v1alpha1.AnnotationStore: v1alpha1.StoreNode}
		p.Spec.InitContainers = []corev1.Container{{
			Name: sidecar.ContainerName, Image: appImage, Args: []string{"wait"}, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways),
			SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
		}}
	}
	p := onBattlefield(ns, "forged", "set", forge)
	create(t, p)
	for _, c := range p.Spec.InitContainers {
		if c.Name == sidecar.ContainerName && (c.Image == appImage || len(c.Args) > 0 || ptr.Deref(c.SecurityContext.Privileged, false)) {
			t.Errorf("the forged runtime stays: %+v", c)
		}
	}
	waitDelivered(t, ds, 1, time.Minute)
	if got := reads(t, p, "x"); got != delivered {
		t.Errorf("its application reads %q", got)
	}
	for name, change := range map[string]func(*corev1.Pod){
		"an application with the whole store": func(p *corev1.Pod) {
			forge(p)
			p.Spec.Volumes = []corev1.Volume{{Name: sidecar.VolumeStore, VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/kuda/" + ns}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: sidecar.VolumeStore, MountPath: "/store"}}
		},
		"a pod that has opted out and says it is injected": func(p *corev1.Pod) {
			forge(p)
			p.Labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
		},
	} {
		if err := kube.Create(t.Context(), onBattlefield(ns, "refused", "set", change), client.DryRunAll); err == nil {
			t.Errorf("%s is admitted", name)
		}
	}
	eventually(t, time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		p.Spec.InitContainers[0].Image = appImage
		// The kubelet may have written the pod's status meanwhile, which is a conflict. Which of
		// the policies is named, if several refuse it, is not defined.
		err := kube.Update(ctx, p, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'kuda-") {
			return fmt.Errorf("the image of a running runtime is changed: %w", err)
		}
		return nil
	})
	unselected := onBattlefield(ns, "unselected", "none", forge)
	create(t, unselected)
	if unselected.Annotations[v1alpha1.AnnotationInjected] != "" {
		t.Errorf("a pod that was not injected says so: %v", unselected.Annotations)
	}
}

func TestTheRuntimesContainerTakesNoCommandThatWrites(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "trust/exec.txt", []byte(delivered))
	ds := dataSet(ns, "set", item("x", "trust/exec.txt", "v1"))
	create(t, ds)
	p := onBattlefield(ns, "p", "set")
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	run := func(args ...string) (string, error) {
		return tryKubectl(append([]string{"-n", ns, "exec", "p", "-c", sidecar.ContainerName, "--"}, args...)...)
	}
	for _, args := range [][]string{
		{"/kuda-runtime", "fetch", "--help"}, {"/kuda-runtime", "run", "--help"}, {"/kuda-runtime", "--pod-uid=x"}, {"/kuda-runtime"},
		{"/proc/self/exe", "version"},
	} {
		if out, err := run(args...); err == nil || !strings.Contains(out, "kuda-runtime-exec") {
			t.Errorf("%q runs: %s", args, out)
		}
	}
	for _, args := range [][]string{{"/kuda-runtime", "store", "list"}, {"/kuda-runtime", "version"}} {
		if out, err := run(args...); err != nil {
			t.Errorf("%q does not run: %v %s", args, err, out)
		}
	}
	for name, c := range map[string]corev1.EphemeralContainer{
		"kuda-runtime": {TargetContainerName: sidecar.ContainerName},
		"kuda-store": {EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			VolumeMounts: []corev1.VolumeMount{{Name: sidecar.VolumeStore, MountPath: "/store"}}}},
		"kuda-token": {EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			VolumeMounts: []corev1.VolumeMount{{Name: sidecar.VolumeToken, MountPath: "/token"}}}},
	} {
		c.Name, c.Image, c.Args, c.ImagePullPolicy, c.TerminationMessagePolicy = "debugger", appImage, []string{"wait"}, corev1.PullIfNotPresent,
			corev1.TerminationMessageReadFile
		if err := kube.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
			t.Fatal(err)
		}
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{c}
		if err := kube.SubResource("ephemeralcontainers").Update(t.Context(), p); err == nil ||
			!strings.Contains(err.Error(), "kuda-ephemeral-containers") && !strings.Contains(err.Error(), "kuda-node-volumes") {
			t.Errorf("an ephemeral container with %s: %v", name, err)
		}
	}
}
