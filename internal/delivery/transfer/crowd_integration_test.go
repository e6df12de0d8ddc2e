//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"os"
	"strconv"
	"testing"
)

const (
	// envCrowd is how many files the test delivers instead of 50,000.
	envCrowd = "KUDA_TEST_CROWD"
	// crowdBase and crowdPerFile are how much memory a delivery may take: that of the
	// process with its buffers, and that of each file. The container has 256 MiB.
	crowdBase    = 48 << 20
	crowdPerFile = 640
)

// Memory is a small constant per file: of a delivery, of one that goes on after a
// kill in its middle, of the next version, which is compared with the last, and of
// a plan of one more.
func TestManyFilesTakeLittleMemoryEach(t *testing.T) {
	files := 50_000
	if n, err := strconv.Atoi(os.Getenv(envCrowd)); err == nil {
		files = n
	}
	root := t.TempDir()
	killCrowd(t, root, files, "1")
	resumed := deliverCrowd(t, root, files, "1")
	if resumed.reused == 0 {
		t.Error("nothing of the delivery that was killed was used")
	}
	next := deliverCrowd(t, root, files, "2")
	if next.reused < 50*next.received/2 {
		t.Errorf("of the next version %d bytes came, and %d were here", next.received, next.reused)
	}
	plan := runCrowd(t, root, files, "3", "plan")
	if plan.reused != next.reused || plan.received != next.received {
		t.Errorf("the plan for a next version is %d bytes that come and %d that are here; of the last one it were %d and %d",
			plan.received, plan.reused, next.received, next.reused)
	}
	whole := deliverCrowd(t, t.TempDir(), files, "1")
	if whole.digest != resumed.digest || whole.digest == next.digest {
		t.Errorf("the digests are %s, %s after a kill, and %s of the next version", whole.digest, resumed.digest, next.digest)
	}
	for what, peak := range map[string]int64{"whole": whole.peak, "resumed": resumed.peak, "next version": next.peak, "plan": plan.peak} {
		t.Logf("%d files, %s: %d MB", files, what, peak/1_000_000)
		if most := int64(crowdBase + crowdPerFile*files); peak > most {
			t.Errorf("%d files took %d MB (%s), want at most %d", files, peak/1_000_000, what, most/1_000_000)
		}
	}
}
