// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && !hostpath

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The tests of this file take kuda-node, or what it works with, away, and hold that
// what runs goes on and that all is as it should be afterwards.

// watchedPods runs pods on the battlefield whose applications read a tree without a
// pause, and returns its DataSet.
func watchedPods(t *testing.T, ns string, n int32) *v1alpha1.DataSet {
	t.Helper()
	for v := range 3 {
		store.putWatched(t, fmt.Sprintf("absence/v%d", v), fmt.Sprintf("v%d", v))
	}
	ds := dataSet(ns, "watched", item("tree", "absence/v0/", "v0"))
	create(t, ds)
	d := deployment(ns, "watched", n, "serve", "--watch", "/kuda/data/tree")
	d.Spec.Template.Spec.NodeName = battlefield
	create(t, d)
	waitDelivered(t, ds, n, 2*time.Minute)
	return ds
}

// readers are the pods that watchedPods made.
func readers(t *testing.T, ns string) []corev1.Pod {
	t.Helper()
	return slices.DeleteFunc(pods(t, ns, "watched"), func(p corev1.Pod) bool { return !strings.HasPrefix(p.Name, "watched-") })
}

// checkWatched fails where an application missed a file, read a partial or a mixed one,
// was restarted, or has not seen the version.
func checkWatched(t *testing.T, ns, version string) {
	t.Helper()
	for _, p := range readers(t, ns) {
		var seen struct {
			Reads, Missing, Partial, Mixed int
			Versions                       map[string]int
		}
		eventually(t, 20*time.Second, func(ctx context.Context) error {
			if err := getJSON(ctx, p, "/seen", &seen); err != nil {
				return err
			}
			if seen.Versions[version] == 0 {
				return fmt.Errorf("pod %s never saw %s: %+v", p.Name, version, seen)
			}
			return nil
		})
		if seen.Missing+seen.Partial+seen.Mixed != 0 {
			t.Errorf("pod %s: %+v", p.Name, seen)
		}
	}
	if n := restarts(readers(t, ns)); n != 0 {
		t.Errorf("applications were restarted %d times", n)
	}
}

// waitGone waits until a pod is no object any more.
func waitGone(t *testing.T, p *corev1.Pod, timeout time.Duration) {
	t.Helper()
	eventually(t, timeout, func(ctx context.Context) error {
		got := &corev1.Pod{}
		if err := kube.Get(ctx, client.ObjectKeyFromObject(p), got); apierrors.IsNotFound(err) || err == nil && got.UID != p.UID {
			return nil
		} else if err != nil {
			return err
		}
		return fmt.Errorf("pod %s is still there: %s", p.Name, got.Status.Phase)
	})
}

// checkNoRemains fails where the kubelet's directory of a pod, or a mount below it, is
// still on a node.
func checkNoRemains(t *testing.T, node string, p *corev1.Pod) {
	t.Helper()
	at := "/var/lib/kubelet/pods/" + string(p.UID)
	eventually(t, 2*time.Minute, func(context.Context) error {
		if out, err := runOn(node, "grep", "-c", at, "/proc/self/mountinfo"); err == nil {
			return fmt.Errorf("%s mounts of pod %s are left", strings.TrimSpace(out), p.Name)
		}
		if out, err := runOn(node, "ls", "-d", at); err == nil {
			left, _ := runOn(node, "find", at)
			return fmt.Errorf("%s is left:\n%s", out, left)
		}
		return nil
	})
}

func TestADriverThatIsKilledIsBackBeforeItIsMissed(t *testing.T) {
	ns := newNamespace(t, nil)
	ds := watchedPods(t, ns, 2)
	uid := string(nodePod(t, battlefield).UID)
	killed := 0
	for _, pid := range nodeProcesses("driver", uid) {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("no driver was found to kill")
	}
	p := onBattlefield(ns, "new", "watched")
	create(t, p)
	waitDelivered(t, ds, 3, 2*time.Minute)
	setVersion(t, ds, 0, "v1", "absence/v1/")
	waitDelivered(t, ds, 3, time.Minute)
	if err := kube.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	waitGone(t, p, time.Minute)
	checkNoRemains(t, battlefield, p)
	checkWatched(t, ns, "v1")
}

func TestWhileTheDriverIsAwayPodsReadOnAndNewOnesWait(t *testing.T) {
	ns := newNamespace(t, nil)
	ds := watchedPods(t, ns, 2)
	old := onBattlefield(ns, "old", "watched")
	create(t, old)
	waitDelivered(t, ds, 3, time.Minute)

	d, err := daemonSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := *d.Spec.Template.DeepCopy()
	away := time.Now()
	changeDaemonSet(t, func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"kuda.io/e2e": "nowhere"} })
	added := onBattlefield(ns, "added", "watched")
	create(t, added)
	if err := kube.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func(ctx context.Context) error {
		var events corev1.EventList
		if err := kube.List(ctx, &events, client.InNamespace(ns)); err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.InvolvedObject.Name == added.Name && e.Reason == "FailedMount" && strings.Contains(e.Message, "data.kuda.io") {
				return nil
			}
		}
		return errors.New("no event says what the new pod waits for")
	})
	if out, _ := kudaStatus(t, "doctor", "-n", ns); !strings.Contains(out, "waits for its volumes") ||
		!strings.Contains(out, "does not know kuda-node's driver") {
		t.Errorf("doctor says:\n%s", out)
	}
	// A rollout needs nothing of it.
	setVersion(t, ds, 0, "v1", "absence/v1/")
	for _, p := range readers(t, ns) {
		eventually(t, time.Minute, func(ctx context.Context) error {
			var seen struct{ Versions map[string]int }
			if err := getJSON(ctx, p, "/seen", &seen); err != nil {
				return err
			}
			if seen.Versions["v1"] == 0 {
				return fmt.Errorf("pod %s has not seen v1: %v", p.Name, seen.Versions)
			}
			return nil
		})
	}
	pause(t, time.Until(away.Add(time.Minute)))
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil {
		t.Errorf("the deleted pod went though its volumes could not be taken away: %v", err)
	}

	restoreDaemonSet(t, there)
	// The kubelet tries again after two minutes at most.
	waitDelivered(t, ds, 3, 4*time.Minute)
	waitGone(t, old, 4*time.Minute)
	checkNoRemains(t, battlefield, old)
	checkWatched(t, ns, "v1")
}

func TestAnUpgradeOfKudaNodeRestartsNoPod(t *testing.T) {
	ns := newNamespace(t, nil)
	ds := watchedPods(t, ns, 3)
	began := time.Now()
	kubectl(t, "-n", nodeNamespace, "rollout", "restart", "daemonset/"+nodeDaemonSet)
	setVersion(t, ds, 0, "v1", "absence/v1/")
	kubectl(t, "-n", nodeNamespace, "rollout", "status", "daemonset/"+nodeDaemonSet, "--timeout=180s")
	t.Logf("kuda-node was upgraded on all nodes in %s", time.Since(began).Round(time.Millisecond))
	waitDelivered(t, ds, 3, time.Minute)
	checkWatched(t, ns, "v1")
	for _, p := range readers(t, ns) {
		for _, c := range p.Status.InitContainerStatuses {
			if c.RestartCount != 0 {
				t.Errorf("container %s of pod %s was restarted", c.Name, p.Name)
			}
		}
	}
}

func TestAKubeletThatIsKilledFindsItsVolumesAgain(t *testing.T) {
	ns := newNamespace(t, nil)
	ds := watchedPods(t, ns, 2)
	doomed := onBattlefield(ns, "doomed", "watched")
	create(t, doomed)
	waitDelivered(t, ds, 3, time.Minute)
	clusterCommand(t, "node", "restart-kubelet", battlefield)
	setVersion(t, ds, 0, "v1", "absence/v1/")
	waitDelivered(t, ds, 3, time.Minute)
	if err := kube.Delete(t.Context(), doomed); err != nil {
		t.Fatal(err)
	}
	waitGone(t, doomed, 2*time.Minute)
	checkNoRemains(t, battlefield, doomed)
	checkWatched(t, ns, "v1")
}

// TestAPowerCutLeavesNoVolumeBehind cuts the power of a node under two pods. One is
// deleted by force while the node is down.
func TestAPowerCutLeavesNoVolumeBehind(t *testing.T) {
	const node = "node2"
	ns := newNamespace(t, nil)
	store.put(t, "power/x.txt", []byte(delivered))
	ds := dataSet(ns, "power", item("x", "power/x.txt", "v1"))
	create(t, ds)
	var both []*corev1.Pod
	for _, name := range []string{"stays", "goes"} {
		p := pod(ns, name, "power", "wait")
		p.Spec.NodeName = node
		create(t, p)
		both = append(both, p)
	}
	waitDelivered(t, ds, 2, time.Minute)
	clusterCommand(t, "node", "kill", node)
	t.Cleanup(func() { clusterCommand(t, "node", "start", node) })
	if err := kube.Delete(t.Context(), both[1], client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	clusterCommand(t, "node", "start", node)
	waitGone(t, both[1], time.Minute)
	eventually(t, 3*time.Minute, func(ctx context.Context) error {
		got := &corev1.Pod{}
		if err := kube.Get(ctx, client.ObjectKeyFromObject(both[0]), got); err != nil {
			return err
		}
		if got.UID != both[0].UID || len(got.Status.ContainerStatuses) == 0 || !got.Status.ContainerStatuses[0].Ready {
			return fmt.Errorf("pod %s (%s): %+v", got.Name, got.UID, got.Status.ContainerStatuses)
		}
		out, err := tryKubectl("-n", ns, "exec", got.Name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/x")
		if err != nil || out != delivered {
			return fmt.Errorf("it reads %q (%w)", out, err)
		}
		return nil
	})
	checkNoRemains(t, node, both[1])
	waitDelivered(t, ds, 1, time.Minute)
}

func TestAPodThatIsDeletedByForceWhileTheDriverIsAwayLeavesNothing(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "force/x.txt", []byte(delivered))
	ds := dataSet(ns, "force", item("x", "force/x.txt", "v1"))
	create(t, ds)
	p := onBattlefield(ns, "p", "force")
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	d, err := daemonSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := *d.Spec.Template.DeepCopy()
	changeDaemonSet(t, func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"kuda.io/e2e": "nowhere"} })
	if err := kube.Delete(t.Context(), p, &client.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
		t.Fatal(err)
	}
	waitGone(t, p, time.Minute)
	if out, err := runOn(battlefield, "grep", "-c", string(p.UID), "/proc/self/mountinfo"); err != nil {
		t.Errorf("its volumes went without the driver: %v %s", err, out)
	}
	restoreDaemonSet(t, there)
	checkNoRemains(t, battlefield, p)
}

// TestKudaNodeIsUninstalledAfterItsPods follows docs/operations.md: pods get stores of their
// own, and then nothing waits for what is taken away.
func TestKudaNodeIsUninstalledAfterItsPods(t *testing.T) {
	ns := newNamespace(t, nil)
	ds := watchedPods(t, ns, 2)
	kubectl(t, "label", "namespace", ns, v1alpha1.LabelStore+"="+v1alpha1.StorePod)
	old := pods(t, ns, "watched")
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		probe := onBattlefield(ns, "probe", "watched")
		if err := kube.Create(ctx, probe, client.DryRunAll); err != nil {
			return err
		}
		if usesDriver(probe) {
			return errors.New("the webhook has not heard of the label yet")
		}
		return nil
	})
	kubectl(t, "-n", ns, "rollout", "restart", "deployment/watched")
	kubectl(t, "-n", ns, "rollout", "status", "deployment/watched", "--timeout=120s")
	for i := range old {
		waitGone(t, &old[i], time.Minute)
		checkNoRemains(t, battlefield, &old[i])
	}
	changeDaemonSet(t, func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"kuda.io/e2e": "nowhere"} })
	kubectl(t, "-n", ns, "rollout", "restart", "deployment/watched")
	kubectl(t, "-n", ns, "rollout", "status", "deployment/watched", "--timeout=120s")
	waitDelivered(t, ds, 2, time.Minute)
}
