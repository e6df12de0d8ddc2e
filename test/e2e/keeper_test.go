// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && !hostpath

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Flags of "kuda-node keeper" that tests set.
const (
	flagNodeQuota   = "--node-quota"
	flagVerifyEvery = "--verify-every"
)

// setKeeper gives the keepers flags until the test is over.
func setKeeper(t *testing.T, flags ...string) {
	t.Helper()
	changeDaemonSet(t, func(spec *corev1.PodSpec) {
		for i := range spec.Containers {
			if spec.Containers[i].Name == "keeper" {
				spec.Containers[i].Args = append(spec.Containers[i].Args, flags...)
			}
		}
	})
}

func TestWhatAPodHadGoesWithIt(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "keeper/gone.txt", []byte(delivered))
	ds := dataSet(ns, "gone", item("x", "keeper/gone.txt", "v1"))
	create(t, ds)
	p := onBattlefield(ns, "p", "gone")
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	at := storeDirectory(t, ns) + "/pods/" + string(p.UID)
	if out, err := onNode("ls", "-d", at); err != nil {
		t.Fatalf("the pod has no directory: %v %s", err, out)
	}
	if err := kube.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	waitGone(t, p, time.Minute)
	gone := time.Now()
	eventually(t, 20*time.Second, func(context.Context) error {
		if out, err := onNode("ls", "-d", at); err == nil {
			return fmt.Errorf("still there: %s", out)
		}
		return nil
	})
	t.Logf("removed %s after the pod went", time.Since(gone).Round(time.Millisecond))
	// What was downloaded stays, for the next pod.
	if out, err := onNode("sh", "-c", "ls "+storeDirectory(t, ns)+"/snapshots | grep -c ."); err != nil || strings.TrimSpace(out) == "0" {
		t.Errorf("the snapshots went with the pod: %v %s", err, out)
	}
}

// TestANodesQuotaEvictsTheLeastRecentlyUsedOfAllNamespaces fills a node's quota from three
// namespaces, of which one has a pod.
func TestANodesQuotaEvictsTheLeastRecentlyUsedOfAllNamespaces(t *testing.T) {
	const size, quota = 30 << 20, 100 << 20
	setKeeper(t, flagNodeQuota+"="+strconv.Itoa(quota))
	store.putLarge(t, "quota/large.bin", size)
	var namespaces []string
	for i := range 3 {
		ns := newNamespace(t, nil)
		namespaces = append(namespaces, ns)
		ds := dataSet(ns, "quota", item("large", "quota/large.bin", "v1"))
		create(t, ds)
		p := onBattlefield(ns, "p", "quota")
		create(t, p)
		waitDelivered(t, ds, 1, 2*time.Minute)
		if i < 2 {
			if err := kube.Delete(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			waitGone(t, p, time.Minute)
		}
	}
	holds := func(ns string) bool {
		out, err := onNode("sh", "-c", "find "+storeDirectory(t, ns)+"/snapshots -type f -size +20M")
		return err == nil && strings.TrimSpace(out) != ""
	}
	eventually(t, time.Minute, func(context.Context) error {
		out, err := onNode("du", "-sb", storesDirectory+"/@node")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		used, err := strconv.ParseInt(strings.Fields(out)[0], 10, 64)
		if err != nil {
			return err
		}
		if used > quota*8/10+(4<<20) {
			return fmt.Errorf("the stores of the node have %d bytes, the quota is %d", used, quota)
		}
		return nil
	})
	first, second, third := holds(namespaces[0]), holds(namespaces[1]), holds(namespaces[2])
	t.Logf("held: first %t, second %t, third (with a pod) %t", first, second, third)
	if !third {
		t.Error("what a running pod uses was evicted")
	}
	if first && !second {
		t.Error("what was used later was evicted before what was used earlier")
	}
}

// TestAByteThatChangesOnTheDiskIsFoundReportedAndHealed changes a delivered file behind
// Kuda's back.
func TestAByteThatChangesOnTheDiskIsFoundReportedAndHealed(t *testing.T) {
	setKeeper(t, flagVerifyEvery+"=5s")
	ns := newNamespace(t, nil)
	content := "these bytes are right: " + ns + "\n"
	store.put(t, "rot/x.txt", []byte(content))
	ds := dataSet(ns, "rot", item("x", "rot/x.txt", "v1"))
	create(t, ds)
	p := onBattlefield(ns, "p", "rot")
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	if got := reads(t, p, "x"); got != content {
		t.Fatalf("the application reads %q", got)
	}
	changeByte(t, ns, content)
	changed := time.Now()
	eventually(t, 2*time.Minute, func(context.Context) error {
		out, err := tryKubectl("get", "nodestore", battlefield, "-o", `jsonpath={.status.stores[?(@.namespace=="`+ns+`")].damaged}`)
		events, _ := tryKubectl("get", "events", "-A", "-o", `jsonpath={range .items[*]}{.reason} {.message}{"\n"}{end}`)
		told := strings.Contains(events, "Damaged") && strings.Contains(events, ns)
		if err != nil || !strings.Contains(out, "id") && !told {
			return fmt.Errorf("the change is not reported: %q (%w)", out, err)
		}
		return nil
	})
	t.Logf("reported %s after the change", time.Since(changed).Round(time.Millisecond))
	waitReads(t, p, content)
	t.Logf("healed %s after the change", time.Since(changed).Round(time.Millisecond))

	// A pod that starts after a change gets the right bytes, found by the keeper or not.
	changeByte(t, ns, content)
	late := onBattlefield(ns, "late", "rot")
	create(t, late)
	waitDelivered(t, ds, 2, 2*time.Minute)
	if got := reads(t, late, "x"); got != content {
		t.Errorf("a pod that starts after the change reads %q", got)
	}
	waitReads(t, p, content)
	if n := restarts(pods(t, ns, "rot")); n != 0 {
		t.Errorf("applications were restarted %d times", n)
	}
}

// changeByte writes over the first byte of the file that has the content, in the
// snapshots of a namespace on the battlefield.
func changeByte(t *testing.T, ns, content string) {
	t.Helper()
	script := `f=$(grep -rlF "` + strings.TrimSpace(content) + `" ` + storeDirectory(t, ns) + `/snapshots | head -1) && ` +
		`test -n "$f" && printf X | dd of="$f" bs=1 conv=notrunc`
	if out, err := onNode("sh", "-c", script); err != nil {
		t.Fatalf("changing a byte: %v %s", err, out)
	}
}

// waitReads waits until the application of a pod reads the content.
func waitReads(t *testing.T, p *corev1.Pod, content string) {
	t.Helper()
	eventually(t, 2*time.Minute, func(context.Context) error {
		got, err := tryKubectl("-n", p.Namespace, "exec", p.Name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/x")
		if err != nil || got != content {
			return fmt.Errorf("pod %s reads %q (%w)", p.Name, got, err)
		}
		return nil
	})
}

// TestTheKeeperSpeaksForItsNode holds that NodeStores are what the keeper says, with and
// without pods.
func TestTheKeeperSpeaksForItsNode(t *testing.T) {
	ns := newNamespace(t, nil)
	store.put(t, "keeper/speaks.txt", []byte(delivered))
	ds := dataSet(ns, "speaks", item("x", "keeper/speaks.txt", "v1"))
	create(t, ds)
	p := onBattlefield(ns, "p", "speaks")
	create(t, p)
	waitDelivered(t, ds, 1, time.Minute)
	waitHolders(t, ds, 30*time.Second, battlefield)
	keeper := nodePod(t, battlefield).Name
	eventually(t, 20*time.Second, func(context.Context) error {
		out, err := tryKubectl("get", "nodestore", battlefield, "-o", "jsonpath={.status.keeper.podName}")
		if err != nil || out != keeper {
			return fmt.Errorf("NodeStore %s is reported by %q, not by %s (%w)", battlefield, out, keeper, err)
		}
		return nil
	})
	if err := kube.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	waitGone(t, p, time.Minute)
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		s, err := storeOf(ctx, battlefield, ns)
		if err != nil || s == nil || len(s.Snapshots) == 0 {
			return fmt.Errorf("without a pod nothing is known of the store: %+v (%w)", s, err)
		}
		for _, snapshot := range s.Snapshots {
			if snapshot.Phase == v1alpha1.SnapshotComplete && snapshot.Pods != 0 {
				return fmt.Errorf("it is said to be used by %d pods", snapshot.Pods)
			}
		}
		return nil
	})
}
