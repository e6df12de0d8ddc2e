// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// fillForEver makes files in a directory, and the directory when it is gone, until the test
// ends.
func fillForEver(t *testing.T, dir string) {
	t.Helper()
	for i := range 4 {
		var stop atomic.Bool
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; !stop.Load(); n++ {
				if os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d", i, n)), nil, 0o600) != nil {
					_ = os.MkdirAll(dir, 0o700)
				}
			}
		}()
		t.Cleanup(func() { stop.Store(true); <-ended })
	}
}

func TestATrashThatIsFilledForEverKeepsNoOtherStoreWaiting(t *testing.T) {
	b := newBench(t)
	b.options.Pace.Turn = 20 * time.Millisecond
	b.options.NodeQuota = store.Amount{Bytes: 100}
	hostile, victim := place("hostile", 1), place("victim", 2)
	b.addUnused(hostile, "1", 200, time.Hour)
	b.addUnused(victim, "1", 10, time.Hour)
	for n := range 3000 {
		dir := filepath.Join(b.root(hostile), store.TrashDir, "x")
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(b.root(victim), store.TrashDir, "left")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	fillForEver(t, filepath.Join(b.root(hostile), store.TrashDir, "x"))
	b.start()
	b.await("the other store's trash to be emptied", func() bool { return !exists(left) })
	b.lookTwice()
}

func TestWhatTheGatewayRefusesOfOneStoreKeepsNoOtherFromBeingReported(t *testing.T) {
	b := newBench(t)
	bad := place("bad", 1)
	b.addUnused(bad, "1", 10, time.Hour)
	good := []census.Place{place("a", 2), place("c", 3), place("d", 4)}
	for _, p := range good {
		b.addUnused(p, "1", 10, time.Hour)
	}
	b.gateway.report = func(r *gatewayv1alpha1.ReportNodeRequest) error {
		if contentsIn(r, bad) != nil {
			return connect.NewError(connect.CodeInvalidArgument, errors.New("a name is too long"))
		}
		return nil
	}
	b.start()
	reported := map[census.Place]bool{}
	b.gateway.awaitReport("all good stores", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		for _, p := range good {
			reported[p] = reported[p] || contentsIn(r, p) != nil
		}
		return len(reported) == len(good) && reported[good[0]] && reported[good[1]] && reported[good[2]]
	})
}

func TestLongNamesDoNotMakeAReportTooLarge(t *testing.T) {
	r := &gatewayv1alpha1.ReportStoreRequest{}
	for n := range 256 {
		r.Snapshots = append(r.Snapshots, &gatewayv1alpha1.StoredSnapshot{Id: fmt.Sprintf("%040x", n), Source: strings.Repeat("s", 4<<10),
			Path: strings.Repeat("p", 4<<10), Bytes: 1, Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS})
	}
	shorten(r)
	listed, omitted := len(r.GetSnapshots()), int(r.GetOmittedSnapshots())
	if size := proto.Size(r); size > maxReportedBytes+64 || listed == 0 || listed+omitted != 256 {
		t.Errorf("%d bytes, %d snapshots, %d omitted", size, listed, omitted)
	}
}

func TestAStoreThatWasMountedWhileItWasTakenAwayIsGivenBack(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	b.addUnused(p, "1", 10, time.Hour)
	k, err := New(b.options)
	if err != nil {
		t.Fatal(err)
	}
	base, err := confined.Open(b.base)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	b.publish(uidOf(11) + " " + p.String())
	if gone, err := k.removeStore(base, p); gone || err != nil {
		t.Errorf("gone: %v, error %v", gone, err)
	}
	if !exists(filepath.Join(b.root(p), store.SnapshotsDir)) {
		t.Error("the store of a pod is gone")
	}
}

// TestASnapshotThatIsDueAgainAndAgainKeepsNoOtherFromBeingCompared has a store in which a snapshot
// is always the one that is due for the longest time.
func TestASnapshotThatIsDueAgainAndAgainKeepsNoOtherFromBeingCompared(t *testing.T) {
	b := newBench(t)
	b.options.VerifyEvery = time.Hour
	k, err := New(b.options)
	if err != nil {
		t.Fatal(err)
	}
	hostile, victim := place("hostile", 1), place("victim", 2)
	made, inode := map[census.Place]time.Time{hostile: time.Unix(0, 0), victim: b.clock.Now().Add(-2 * time.Hour)}, uint64(0)
	turns := map[census.Place]int{}
	for range 10 {
		inode++
		var stores []*census.Store
		for _, p := range []census.Place{hostile, victim} {
			one := census.Snapshot{Made: made[p]}
			one.ID = snapshot.ID(strings.Repeat("a", 40))
			if p == hostile {
				one.Identity.Inode = inode // it is made again all the time
			}
			stores = append(stores, &census.Store{Place: p, Snapshots: []census.Snapshot{one}})
		}
		k.verifier.update(stores)
		key, _, ok := k.verifier.next(b.clock.Now())
		if !ok {
			t.Fatal("nothing is due")
		}
		turns[key.place]++
		k.verifier.spend(key.place, minimalCost)
	}
	if turns[victim] != 5 {
		t.Errorf("turns: %v", turns)
	}
}

// asUser runs a test again as a user without privilege, and reports whether this is that
// run: root has all rights whatever the mode.
func asUser(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "closed")
	if err := errors.Join(err, os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env, cmd.Dir = append(os.Environ(), "TMPDIR="+dir), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "--- PASS: "+t.Name()) {
		t.Errorf("as user 65532: %v\n%s", err, text)
	}
	return false
}

func TestWhatAPodClosedToItselfIsRemovedAllTheSame(t *testing.T) {
	if !asUser(t) {
		return
	}
	b := newBench(t)
	b.options.NodeQuota = store.Amount{Bytes: 100}
	p, gone := place("shop", 1), place("gone", 2)
	id := b.addUnused(p, "1", 200, time.Hour)
	b.addUnused(gone, "1", 10, time.Hour)
	dir := b.makePod(b.root(p), uidOf(11), id)
	lock := filepath.Join(b.root(p), podstate.PodsDir, uidOf(11), podstate.LockFile)
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pod, stored := filepath.Join(b.root(p), podstate.PodsDir, uidOf(11)), filepath.Join(b.root(p), store.SnapshotsDir, string(id))
	for _, path := range []string{lock, dir.View(), pod, filepath.Dir(pod),
		filepath.Join(b.root(p), store.LocksDir, store.LeaseName(id)), stored,
		filepath.Join(b.root(p), store.SnapshotsDir), filepath.Join(b.root(p), store.LocksDir), b.root(p), b.root(gone)} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
	}
	b.gateway.say(&gatewayv1alpha1.WatchNodeResponse{Gone: []*gatewayv1alpha1.StoreDirectory{directoryOf(gone)}})
	b.start()
	b.lookTwice()
	b.clock.advance(time.Hour)
	for _, path := range []string{pod, stored, b.root(gone)} {
		b.await(path+" to go", func() bool {
			_, err := os.Lstat(path)
			return errors.Is(err, fs.ErrNotExist)
		})
	}
}

func TestAFileThatWasDeliveredUnreadableIsNotDamaged(t *testing.T) {
	if !asUser(t) {
		return
	}
	b := newBench(t)
	b.options.VerifyEvery = time.Hour
	p := place("shop", 1)
	s := b.open(p)
	l, w, err := s.Acquire(t.Context(), keyOf("1"), func() {})
	if err != nil || l != nil {
		t.Fatalf("acquiring: %v, %v", l, err)
	}
	e := b.put(w, "file", "x")
	if err := w.Root().Chmod("file", 0); err != nil {
		t.Fatal(err)
	}
	e.Mode = 0
	if err := w.Done(e); err != nil {
		t.Fatal(err)
	}
	listing := digest.NewListing(digest.XXH3)
	listing.Add(e.Path, e.Digest)
	l, err = w.Commit(&snapshot.Manifest{Entries: []snapshot.Entry{e}, Bytes: 1, Digest: listing.Digest()})
	if err != nil {
		t.Fatal(err)
	}
	b.start()
	b.lookTwice()
	b.clock.advance(48 * time.Hour)
	b.await("the snapshot to be compared", func() bool { return b.keeper.verifier.verifiedBy(p) != nil })
	if exists(filepath.Join(b.root(p), store.LocksDir, store.SuspectName(l.ID()))) || !b.has(p, l.ID()) {
		t.Error("it is taken for damaged")
	}
}

// TestASnapshotThatWasDeliveredAgainIsNotTakenForAChangedOne has the source change what it has
// under a version, and the file system give the new directory the inode of the old one.
func TestASnapshotThatWasDeliveredAgainIsNotTakenForAChangedOne(t *testing.T) {
	b := newBench(t)
	b.options.VerifyEvery = time.Hour
	k, err := New(b.options)
	if err != nil {
		t.Fatal(err)
	}
	p := place("shop", 1)
	deliver := func(born int64, digest string) examined {
		one := census.Snapshot{Identity: census.Identity{Device: 1, Inode: 7, Born: born, Modified: born}, Made: b.clock.Now()}
		one.ID, one.Digest = snapshot.ID(strings.Repeat("a", 40)), digest
		k.verifier.update([]*census.Store{{Place: p, Snapshots: []census.Snapshot{one}}})
		_, e, ok := k.verifier.next(b.clock.Now())
		if !ok {
			t.Fatal("the snapshot is not known")
		}
		return e
	}
	first := deliver(1, "xxh3:01")
	key := snapshotKey{p, first.ID}
	k.verifier.reschedule(key, func(e *examined) { e.at, e.digest = b.clock.Now(), e.Digest })
	k.verifier.state.note(key, first.Identity, b.clock.Now(), first.Digest)
	if e := deliver(2, "xxh3:02"); e.digest != "" || !e.due.After(b.clock.Now()) {
		t.Errorf("it is compared with what another had: %q", e.digest)
	}
}
