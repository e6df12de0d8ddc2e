// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asChild makes the test binary itself the program that is measured.
const asChild = "KUDA_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "":
		os.Exit(m.Run())
	case "small":
		os.Exit(0)
	case "large":
		touch(200 << 20)
		os.Exit(0)
	case "spin":
		for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
			touch(1 << 20)
		}
		os.Exit(0)
	case "fail":
		_, _ = os.Stderr.WriteString("no such bucket")
		os.Exit(3)
	case "forever":
		_ = unix.Pause()
	}
}

func touch(n int) []byte {
	memory := make([]byte, n)
	for i := 0; i < n; i += 4096 {
		memory[i] = 1
	}
	return memory
}

func child(mode string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asChild+"="+mode)
	return cmd
}

func TestMemoryOfTheHarnessIsNotChargedToAClient(t *testing.T) {
	memory := touch(300 << 20)
	u, err := Run(t.Context(), child("small"))
	if err != nil {
		t.Fatal(err)
	}
	if u.RSS > 100<<20 {
		t.Errorf("a small program is said to have had %d bytes, with %d of ours", u.RSS, len(memory))
	}
}

func TestPeakMemoryOfAClientIsMeasured(t *testing.T) {
	u, err := Run(t.Context(), child("large"))
	if err != nil {
		t.Fatal(err)
	}
	if u.RSS < 190<<20 || u.RSS > 400<<20 {
		t.Errorf("a program that touched 200 MiB is said to have had %d bytes", u.RSS)
	}
}

func TestProcessorTimeIsThatOfTheClient(t *testing.T) {
	u, err := Run(t.Context(), child("spin"))
	if err != nil {
		t.Fatal(err)
	}
	if u.Wall < 200*time.Millisecond || u.CPU < 20*time.Millisecond {
		t.Errorf("a program that computed for 200 ms took %v, %v of processor time", u.Wall, u.CPU)
	}
}

func TestFailedClientIsAnErrorWithItsOutput(t *testing.T) {
	_, err := Run(t.Context(), child("fail"))
	if err == nil || !strings.Contains(err.Error(), "no such bucket") {
		t.Errorf("got %v", err)
	}
}

func TestClientThatHangsTimesOut(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, ErrTimeout)
	defer cancel()
	if _, err := Run(ctx, child("forever")); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
}

func TestProcessorTimeGrowsWithWork(t *testing.T) {
	before, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		touch(1 << 20)
	}
	after, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("%v, then %v", before, after)
	}
}
