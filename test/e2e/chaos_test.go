// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// kill sends SIGKILL to every process of a program inside the cgroup of one
// pod (by its UID), or of any pod where uid is empty, and says how many.
func kill(t *testing.T, program, uid string) int {
	t.Helper()
	return signal(t, syscall.SIGKILL, program, uid)
}

// signal is kill with another signal.
func signal(t *testing.T, s syscall.Signal, program, uid string) int {
	t.Helper()
	sent := 0
	for pid, cgroup := range processesOf(program) {
		if !strings.Contains(cgroup, "kubepods") || !strings.Contains(cgroup, uid) {
			continue
		}
		if err := syscall.Kill(pid, s); err == nil {
			sent++
		}
	}
	return sent
}

// processesOf finds the processes whose executable has a name, with their cgroups.
func processesOf(program string) map[int]string {
	found := map[int]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		exe, err := os.Readlink(link)
		if err != nil || filepath.Base(exe) != program {
			continue
		}
		dir := filepath.Dir(link)
		pid, _ := strconv.Atoi(filepath.Base(dir))
		cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err == nil {
			found[pid] = string(cgroup)
		}
	}
	return found
}

func TestComponentKilledAtRandomMomentsHealsWithoutAHand(t *testing.T) {
	const rounds = 6
	for v := range rounds + 1 {
		store.putWatched(t, fmt.Sprintf("chaos/v%d", v), fmt.Sprintf("v%d", v))
		store.putLarge(t, fmt.Sprintf("chaos/v%d/large.bin", v), 32<<20)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, test := range []struct {
		component string
		kill      func(t *testing.T, round int, ps []corev1.Pod)
	}{
		{"runtime", func(t *testing.T, round int, ps []corev1.Pod) {
			kill(t, "kuda-runtime", string(ps[round%len(ps)].UID))
		}},
		{"manager", func(t *testing.T, round int, _ []corev1.Pod) {
			if round%3 == 0 { // more often only adds the kubelet's back-off
				kill(t, "kuda-manager", "")
			}
		}},
		{"minio", func(t *testing.T, _ int, _ []corev1.Pod) {
			clusterCommand(t, "minio", "kill")
			clusterCommand(t, "minio", "start")
		}},
	} {
		t.Run(test.component, func(t *testing.T) {
			ns := newNamespace(t, nil)
			ds := dataSet(ns, "chaos", item("tree", "chaos/v0/", "v0"))
			create(t, ds)
			create(t, deployment(ns, "chaos", 3, "serve", "--watch", "/kuda/data/tree"))
			waitDelivered(t, ds, 3, 2*time.Minute)
			ps := pods(t, ns, "chaos")
			for round := range rounds {
				v := round + 1
				setVersion(t, ds, 0, fmt.Sprintf("v%d", v), fmt.Sprintf("chaos/v%d/", v))
				pause(t, time.Duration(random.IntN(700))*time.Millisecond)
				test.kill(t, round, ps)
			}
			waitDelivered(t, ds, 3, 4*time.Minute)
			for _, p := range ps {
				var seen struct {
					Reads, Missing, Partial, Mixed int
					Versions                       map[string]int
					First                          string
				}
				eventually(t, 10*time.Second, func(ctx context.Context) error {
					if err := getJSON(ctx, p, "/seen", &seen); err != nil {
						return err
					}
					if seen.Versions[fmt.Sprintf("v%d", rounds)] == 0 {
						return fmt.Errorf("never saw the last version: %+v", seen)
					}
					return nil
				})
				if seen.Missing+seen.Partial+seen.Mixed != 0 {
					t.Errorf("pod %s: %+v", p.Name, seen)
				}
			}
			if n := restarts(pods(t, ns, "chaos")); n != 0 {
				t.Errorf("applications were restarted %d times", n)
			}
		})
	}
}

// TestRuntimeKilledInAMovedPodFailsNoRollout kills the runtime of a pod that has
// just been moved, so that the pod turns unready while the rollout watches it.
func TestRuntimeKilledInAMovedPodFailsNoRollout(t *testing.T) {
	ns := newNamespace(t, nil)
	for _, v := range []string{"v1", "v2"} {
		store.put(t, "moved/"+v+".txt", []byte(v))
	}
	ds := dataSet(ns, "moved", item("x", "moved/v1.txt", "v1"))
	ds.Spec.UpdateStrategy.RollingUpdate = &v1alpha1.RollingUpdate{MaxUnavailable: ptr.To(intstr.FromInt32(1)), MinReadySeconds: 5}
	create(t, ds)
	create(t, deployment(ns, "moved", 2, "wait"))
	waitDelivered(t, ds, 2, time.Minute)
	// The kubelet starts a container again at once, and may not even say that the
	// pod was unready. The second time it waits 10 s, so the first is spent here.
	for _, p := range pods(t, ns, "moved") {
		kill(t, "kuda-runtime", string(p.UID))
	}
	eventually(t, time.Minute, func(context.Context) error {
		for _, p := range pods(t, ns, "moved") {
			s := p.Status.InitContainerStatuses[0]
			if s.Name != sidecar.ContainerName || s.RestartCount != 1 || !s.Ready || !podReady(&p) {
				return fmt.Errorf("the runtime of %s is not back: %+v", p.Name, s)
			}
		}
		return nil
	})
	setVersion(t, ds, 0, "v2", "moved/v2.txt")

	var victim corev1.Pod
	eventually(t, time.Minute, func(context.Context) error {
		for _, p := range pods(t, ns, "moved") {
			if inPod(t, p, "check", "/kuda/data/x") == "v2" {
				victim = p
				return nil
			}
		}
		return errors.New("no pod has v2 yet")
	})
	if kill(t, "kuda-runtime", string(victim.UID)) == 0 {
		t.Fatalf("the runtime of %s was not found", victim.Name)
	}
	unready := false
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		if err := kube.Get(ctx, client.ObjectKeyFromObject(&victim), &victim); err != nil {
			return err
		}
		unready = unready || !podReady(&victim)
		if err := kube.Get(ctx, client.ObjectKeyFromObject(ds), ds); err != nil {
			return err
		}
		if r := ds.Status.Rollout; r.Phase != v1alpha1.RolloutCompleted || ds.Status.UpdatedReplicas != 2 {
			return fmt.Errorf("the rollout is %s (%s): %s", r.Phase, r.Reason, r.Message)
		}
		return nil
	})
	if !unready {
		t.Error("the pod was never seen unready: nothing was tried")
	}
}

// pause lets a moment pass that is part of the experiment; nothing is waited for.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestWebhookKilledWhilePodsAreCreatedHealsWithoutAHand(t *testing.T) {
	ns := newNamespace(t, map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired})
	store.put(t, "webhook/x.txt", []byte(delivered))
	ds := dataSet(ns, "webhook", item("x", "webhook/x.txt", "v1"))
	create(t, ds)
	if n := kill(t, "kuda-webhook", ""); n == 0 {
		t.Fatal("no webhook process was found to kill")
	}
	create(t, deployment(ns, "webhook", 3, "wait"))
	waitDelivered(t, ds, 3, 3*time.Minute)
	for _, p := range pods(t, ns, "webhook") {
		if p.Annotations[v1alpha1.AnnotationInjected] == "" {
			t.Errorf("pod %s slipped through", p.Name)
		}
	}
}

func TestPodsKeepTheirDataWithEverythingOfKudaStopped(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "stopped/x.txt", []byte(delivered))
	ds := dataSet(ns, "stopped", item("x", "stopped/x.txt", "v1"))
	create(t, ds)
	create(t, deployment(ns, "stopped", 2, "wait"))
	waitDelivered(t, ds, 2, time.Minute)
	scale := func(n string) {
		kubectl(t, "-n", systemNamespace, "scale", "deployment", "--replicas="+n, "kuda-manager", "kuda-webhook")
	}
	t.Cleanup(func() {
		for _, args := range [][]string{
			{"scale", "deployment", "--replicas=2", "kuda-manager", "kuda-webhook"},
			{"rollout", "status", "deployment/kuda-manager", "--timeout=120s"},
			{"rollout", "status", "deployment/kuda-webhook", "--timeout=120s"},
		} {
			if _, err := tryKubectl(append([]string{"-n", systemNamespace}, args...)...); err != nil {
				t.Error(err)
			}
		}
	})
	scale("0")
	clusterCommand(t, "minio", "stop")
	t.Cleanup(func() { clusterCommand(t, "minio", "start") })
	eventually(t, time.Minute, func(context.Context) error {
		if n := len(processesOf("kuda-manager")) + len(processesOf("kuda-webhook")); n != 0 {
			return fmt.Errorf("%d processes of Kuda still run", n)
		}
		return nil
	})

	ps := pods(t, ns, "stopped")
	kill(t, "kuda-runtime", string(ps[0].UID)) // the first pod loses its sidecar as well
	for _, p := range ps {
		if got := inPod(t, p, "check", "/kuda/data/x"); got != delivered {
			t.Errorf("pod %s reads %q", p.Name, got)
		}
		if kill(t, "e2e-app", string(p.UID)) == 0 {
			t.Fatalf("the application of %s was not found", p.Name)
		}
	}
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		for _, p := range pods(t, ns, "stopped") {
			c := p.Status.ContainerStatuses[0]
			if c.RestartCount == 0 || c.State.Running == nil {
				return fmt.Errorf("the container of %s was not started again: %+v", p.Name, c.State)
			}
		}
		return nil
	})
	for _, p := range pods(t, ns, "stopped") {
		if got := inPod(t, p, "check", "/kuda/data/x"); got != delivered {
			t.Errorf("after the restart pod %s reads %q", p.Name, got)
		}
	}
}
