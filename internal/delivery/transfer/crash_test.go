// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	sourcehttp "github.com/kuda-io/kuda/internal/source/http"
)

// The test binary runs as a delivering process when these are set.
const (
	envChildRoot = "KUDA_TEST_CHILD_ROOT"
	envChildURL  = "KUDA_TEST_CHILD_URL"
	// envRounds is how often the crash test kills; more rounds find more.
	envRounds = "KUDA_TEST_CRASH_ROUNDS"
)

func TestMain(m *testing.M) {
	if root := os.Getenv(envChildRoot); root != "" {
		run := func() error { return child(root, os.Getenv(envChildURL)) }
		if crowd := os.Getenv(envChildCrowd); crowd != "" {
			run = func() error { return crowdChild(root, crowd) }
		}
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child delivers tree/, tells its digest and origin, and keeps the lease for as
// long as it lives.
func child(root, url string) error {
	source, err := sourcehttp.New(sourcehttp.Config{URL: url})
	if err != nil {
		return err
	}
	s, err := store.Open(store.Options{Root: root})
	if err != nil {
		return err
	}
	key := snapshot.Key{Source: "test", Path: "tree/", Version: "1"}
	result, err := New(Options{Store: s, Connections: 3}).Deliver(context.Background(), NewRequest(source, key, nil))
	if err != nil {
		return err
	}
	fmt.Println(result.Lease.Manifest().Digest, result.Origin, result.Reused)
	_, err = bufio.NewReader(os.Stdin).ReadByte() // until the parent closes it
	_ = err
	return nil
}

func startChild(t *testing.T, root, url string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envChildRoot+"="+root, envChildURL+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(out)
}

func rounds() int {
	if n, err := strconv.Atoi(os.Getenv(envRounds)); err == nil {
		return n
	}
	return 40
}

// Promise 5: killing a delivery at any moment loses nothing: the next one goes
// on, and what it delivers is right.
func TestPromise5KilledDeliveriesGoOnAndAreRight(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 200)
	key := snapshot.Key{Source: "test", Path: "tree/", Version: "1"}
	var wantDigest string
	completed, resumed := 0, 0
	// How long a child lives at most: about half of them are to get to the end.
	life := 60 * time.Millisecond
	root := t.TempDir()
	for range rounds() {
		cmd, out := startChild(t, root, b.server.URL)
		done := make(chan string, 1)
		go func() {
			line, _ := out.ReadString('\n')
			done <- line
		}()
		timer := time.NewTimer(rand.N(life))
		var line string
		select {
		case line = <-done:
		case <-timer.C:
		}
		timer.Stop()
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		s, err := store.Open(store.Options{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(t.Context(), key.ID(), true); err == nil {
			completed++
			life = max(life*2/3, 20*time.Millisecond)
			lease, err := s.Lease(key.ID())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, files(t, lease)); diff != "" {
				t.Fatalf("(-want +got):\n%.2000s", diff)
			}
			if wantDigest == "" {
				wantDigest = lease.Manifest().Digest
			}
			if lease.Manifest().Digest != wantDigest {
				t.Fatalf("the digest is %s, and was %s", lease.Manifest().Digest, wantDigest)
			}
			closeLease(t, lease)
			if fields := strings.Fields(line); len(fields) == 3 && fields[2] != "0" {
				resumed++
			}
			if _, err := s.Evict(key.ID()); err != nil {
				t.Fatal(err)
			}
		} else if line != "" {
			t.Fatalf("%q was told, but verifying says: %v", line, err)
		} else {
			life = life * 9 / 8
		}
		if err := s.Collect(); err != nil {
			t.Fatal(err)
		}
	}
	_, engine := openEngine(t, root)
	result, err := engine.Deliver(t.Context(), NewRequest(b.source, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer closeLease(t, result.Lease)
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	t.Logf("%d of %d rounds completed, %d of them by going on", completed, rounds(), resumed)
}

// Promise 6: a node downloads a snapshot once, however many pods want it.
func TestPromise6TwelveProcessesDownloadOnce(t *testing.T) {
	b := newBench(t)
	b.putTree("tree/", 100)
	root := t.TempDir()
	outs := make([]*bufio.Reader, 12)
	for i := range outs {
		_, outs[i] = startChild(t, root, b.server.URL)
	}
	origins := map[string]int{}
	for _, out := range outs {
		line, err := out.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		origins[strings.Fields(line)[1]]++
	}
	if origins["Source"] != 1 || origins["Node"] != 11 {
		t.Errorf("got %v", origins)
	}
	for i := range 100 {
		if n := b.server.Bodies(fmt.Sprintf("tree/d%d/f%d", i%7, i)); n > 1 {
			t.Errorf("file %d was sent %d times", i, n)
		}
	}
}

func TestAWaiterTakesOverWhenTheDownloaderDies(t *testing.T) {
	b := newBench(t)
	want := b.putTree("tree/", 10)
	root := t.TempDir()
	key := snapshot.Key{Source: "test", Path: "tree/", Version: "1"}
	cutter := newStalledServer(t, b)
	downloader, _ := startChild(t, root, cutter)
	s, engine := openEngine(t, root)
	awaitPartial(t, s, key)
	request := NewRequest(b.source, key, func(p Progress) {
		if p.State == Waiting {
			_ = downloader.Process.Signal(syscall.SIGKILL)
		}
	})
	result, err := engine.Deliver(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLease(t, result.Lease)
	if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" || result.Origin != OriginSource {
		t.Errorf("origin %s (-want +got):\n%.2000s", result.Origin, diff)
	}
}

// newStalledServer returns the URL of a way to the server on which bodies stall.
func newStalledServer(t *testing.T, b *bench) string {
	t.Helper()
	c := newCutter(t, b)
	c.After(2<<20, true)
	return "http://" + c.Addr
}

// awaitPartial returns once a download has begun.
func awaitPartial(t *testing.T, s *store.Store, key snapshot.Key) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		large := filepath.Join(s.Root(), "snapshots", string(key.ID())+".partial", "data", "large")
		if _, err := os.Stat(large); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no process began to download")
		}
	}
}
