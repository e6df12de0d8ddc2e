// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// residentMiB reads a line of /proc/PID/status, such as VmHWM (the peak) or
// VmRSS (now), of the runtime of one pod.
func residentMiB(t *testing.T, uid, line string) float64 {
	t.Helper()
	for pid, cgroup := range processesOf("kuda-runtime") {
		if !strings.Contains(cgroup, uid) {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(l, line+":"); ok {
				kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				if err != nil {
					t.Fatal(err)
				}
				return kib / 1024
			}
		}
	}
	t.Fatalf("no runtime of pod %s was found", uid)
	return 0
}

// KUDA_E2E_OBJECT_GIB=10 makes this the measurement that the README quotes.
func TestLargeObjectIsDeliveredWithin96MiBAndAnIdleRuntimeKeeps24MiB(t *testing.T) {
	gib := int64(1)
	if s := os.Getenv("KUDA_E2E_OBJECT_GIB"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		gib = n
	}
	ns := newNamespace(t, nil)
	key := fmt.Sprintf("large/%dGiB.bin", gib)
	store.putLarge(t, key, gib<<30)
	ds := dataSet(ns, "large", item("large", key, "v1"))
	create(t, ds)
	began := time.Now()
	create(t, pod(ns, "large", "large", "wait"))
	waitDelivered(t, ds, 1, time.Duration(2+2*gib)*time.Minute)
	took := time.Since(began)
	uid := string(pods(t, ns, "large")[0].UID)
	peak := residentMiB(t, uid, "VmHWM")
	var idle float64
	eventually(t, time.Minute, func(ctx context.Context) error {
		if idle = residentMiB(t, uid, "VmRSS"); idle > 24 {
			return fmt.Errorf("an idle runtime keeps %.1f MiB, want at most 24", idle)
		}
		return nil
	})
	t.Logf("%d GiB from creating the pod to delivered: %s; peak %.1f MiB, idle %.1f MiB", gib, took.Round(time.Millisecond), peak, idle)
	if peak > 96 {
		t.Errorf("peak %.1f MiB, want at most 96", peak)
	}
}
