// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// makePod makes the directory of a pod whose view has the item of a snapshot.
func (b *bench) makePod(root, uid string, ids ...snapshot.ID) podstate.Dir {
	b.t.Helper()
	dir := podstate.Of(root, uid)
	if err := dir.Create(); err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(dir.View(), 0o755); err != nil {
		b.t.Fatal(err)
	}
	r, err := dir.Record("set")
	if err != nil {
		b.t.Fatal(err)
	}
	items := map[podstate.ItemKey]podstate.Item{}
	for _, id := range ids {
		items[podstate.KeyOf("n", string(id))] = podstate.Item{Snapshot: id}
	}
	r.Revisions["r1"] = podstate.Revision{Items: items}
	if err := r.Save(); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

func TestAPodsDirectoryGoesWithItsVolume(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	id := b.addUnused(p, "1", 10, time.Hour)
	running, other := uidOf(11), uidOf(12)
	b.makePod(b.root(p), running, id)
	b.makePod(b.root(p), other, id)
	b.publish(running+" "+p.String(), other+" "+p.String())
	b.start()
	b.lookTwice()
	for _, uid := range []string{running, other} {
		if !exists(filepath.Join(b.root(p), podstate.PodsDir, uid)) {
			t.Fatalf("the directory of pod %s is gone while its volume is mounted", uid)
		}
	}
	lock, err := podstate.Of(b.root(p), running).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.publish()
	b.await("the directory of a pod without a volume to go", func() bool {
		return !exists(filepath.Join(b.root(p), podstate.PodsDir, other))
	})
	b.lookTwice()
	if !exists(filepath.Join(b.root(p), podstate.PodsDir, running)) {
		t.Error("the directory of a pod whose runtime runs is gone")
	}
	_ = lock.Close()
	b.await("the directory to go when its runtime has ended", func() bool {
		return !exists(filepath.Join(b.root(p), podstate.PodsDir, running))
	})
	if !b.has(p, id) {
		t.Error("the snapshot is gone too")
	}
}

func TestAPodThatWasNeverSeenIsGivenTime(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	b.open(p)
	b.makePod(b.root(p), uidOf(11))
	b.start()
	b.lookTwice()
	path := filepath.Join(b.root(p), podstate.PodsDir, uidOf(11))
	if !exists(path) {
		t.Fatal("the directory is gone before its volume could be mounted")
	}
	b.clock.advance(6 * time.Minute)
	b.await("the directory to go", func() bool { return !exists(path) })
}

func TestNothingOfPodsIsRemovedWhileMountsAreNotKnown(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	b.open(p)
	b.makePod(b.root(p), uidOf(11))
	if err := os.WriteFile(b.table, []byte("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.lookTwice()
	b.clock.advance(24 * time.Hour)
	b.lookTwice()
	if !exists(filepath.Join(b.root(p), podstate.PodsDir, uidOf(11))) {
		t.Error("the directory of a pod is gone that may live")
	}
}

func TestTheLeastRecentlyUsedOfAllNamespacesIsEvictedWithoutPods(t *testing.T) {
	b := newBench(t)
	b.options.NodeQuota = store.Amount{Bytes: 1000}
	a, c := place("a", 1), place("c", 2)
	oldest := b.addUnused(a, "1", 300, 5*time.Hour)
	newer := b.addUnused(a, "2", 200, time.Hour)
	older := b.addUnused(c, "1", 300, 4*time.Hour)
	used := b.addUnused(c, "2", 200, 6*time.Hour)
	b.makePod(b.root(c), uidOf(11), used)
	b.publish(uidOf(11) + " " + c.String())
	b.start()
	b.await("the oldest to go", func() bool { return !b.has(a, oldest) })
	b.lookTwice()
	if !b.has(a, newer) || !b.has(c, older) || !b.has(c, used) {
		t.Error("more was evicted than had to be, or what a pod uses")
	}
	if exists(filepath.Join(b.root(a), store.LocksDir, store.LeaseName(oldest))) {
		t.Error("the lock of what was evicted is left")
	}
	entries, err := os.ReadDir(filepath.Join(b.root(a), store.TrashDir))
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the trash: %v, %v", entries, err)
	}
}

func TestWhatIsLeasedIsNotEvicted(t *testing.T) {
	b := newBench(t)
	b.options.NodeQuota = store.Amount{Bytes: 100}
	p := place("shop", 1)
	s := b.open(p)
	l := b.add(s, "1", map[string]string{"file": strings.Repeat("x", 200)})
	b.start()
	b.lookTwice()
	if !b.has(p, l.ID()) || !l.Current() {
		t.Fatal("a leased snapshot was evicted")
	}
	b.close(l)
	b.await("the snapshot to go with its lease", func() bool { return !b.has(p, l.ID()) })
}

func TestWhatIsPreheatedStaysUntilTheGatewaySaysOtherwise(t *testing.T) {
	b := newBench(t)
	b.options.NodeQuota = store.Amount{Bytes: 100}
	p := place("shop", 1)
	id := b.addUnused(p, "1", 200, time.Hour)
	pods := podstate.NewPods(b.root(p))
	if err := pods.KeepPreheated("set", "r1", map[podstate.ItemKey]podstate.Item{"n/i": {Snapshot: id}}); err != nil {
		t.Fatal(err)
	}
	directory := directoryOf(p)
	keep := &gatewayv1alpha1.WatchNodeResponse{Preheats: []*gatewayv1alpha1.NamespacePreheats{{Directory: directory,
		Preheats: &gatewayv1alpha1.Preheats{Datasets: []string{"set"}}}}}
	b.gateway.say(keep)
	b.start()
	b.lookTwice()
	if !b.has(p, id) {
		t.Fatal("what is preheated was evicted")
	}
	forget := &gatewayv1alpha1.WatchNodeResponse{Preheats: []*gatewayv1alpha1.NamespacePreheats{{Directory: directory,
		Preheats: &gatewayv1alpha1.Preheats{}}}}
	b.gateway.say(forget)
	b.lookTwice()
	if !b.has(p, id) {
		t.Fatal("what was preheated a moment ago is forgotten at once")
	}
	b.clock.advance(time.Hour)
	b.gateway.say(forget)
	b.await("what is no longer preheated to go", func() bool { return !b.has(p, id) })
}

func TestTheStoreOfANamespaceThatIsGoneIsRemovedByItsUID(t *testing.T) {
	b := newBench(t)
	before, now, mounted := place("shop", 1), place("shop", 2), place("other", 3)
	for _, p := range []string{b.root(before), b.root(now), b.root(mounted)} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.addUnused(before, "1", 10, time.Hour)
	b.addUnused(now, "1", 10, time.Hour)
	b.publish(uidOf(11) + " " + mounted.String())
	b.gateway.say(&gatewayv1alpha1.WatchNodeResponse{Gone: []*gatewayv1alpha1.StoreDirectory{directoryOf(before), directoryOf(mounted)}})
	b.start()
	b.await("the store to go", func() bool { return !exists(b.root(before)) })
	b.lookTwice()
	if !exists(b.root(now)) {
		t.Error("the store of the namespace of the same name is gone too")
	}
	if !exists(b.root(mounted)) {
		t.Error("a store is gone that is mounted")
	}
	open := b.open(mounted)
	b.publish()
	b.lookTwice()
	if !exists(b.root(mounted)) {
		t.Error("a store is gone that a runtime has open")
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	b.await("the directory of the namespace to go with its last store", func() bool { return !exists(filepath.Dir(b.root(mounted))) })
	b.await("nothing to be left", func() bool {
		left, err := filepath.Glob(filepath.Join(b.base, gonePrefix+"*"))
		return err == nil && len(left) == 0
	})
}

func TestLinksInAStoreLeadNowhere(t *testing.T) {
	b := newBench(t)
	b.options.NodeQuota = store.Amount{Bytes: 1}
	victim, hostile := place("victim", 1), place("hostile", 2)
	s := b.open(victim)
	kept := b.add(s, "1", map[string]string{"file": "kept"})
	b.makePod(b.root(victim), uidOf(11), kept.ID())
	b.publish(uidOf(11) + " " + victim.String())
	for _, name := range []string{store.SnapshotsDir, store.LocksDir, store.MarksDir, store.TrashDir, podstate.PodsDir, podstate.PreheatDir} {
		if err := os.MkdirAll(b.root(hostile), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..", "..", "victim", uidOf(1), name), filepath.Join(b.root(hostile), name)); err != nil {
			t.Fatal(err)
		}
	}
	b.gateway.say(&gatewayv1alpha1.WatchNodeResponse{Preheats: []*gatewayv1alpha1.NamespacePreheats{{Directory: directoryOf(hostile)}}})
	b.start()
	b.lookTwice()
	b.clock.advance(time.Hour)
	b.lookTwice()
	if !b.has(victim, kept.ID()) || !exists(filepath.Join(b.root(victim), podstate.PodsDir, uidOf(11))) {
		t.Error("links of another store led to a loss")
	}
	r := b.gateway.awaitReport("the store that cannot be read", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		return contentsIn(r, hostile).GetUnreadable() != ""
	})
	t.Log(contentsIn(r, hostile).GetUnreadable())
}

func TestHostileNamesHoldUpNothing(t *testing.T) {
	b := newBench(t)
	good, hostile := place("good", 1), place("hostile", 2)
	id := b.addUnused(good, "1", 10, time.Hour)
	bad := b.addUnused(hostile, "1", 10, time.Hour)
	root := b.root(hostile)
	for _, remove := range []string{store.LeaseName(bad)} {
		if err := os.Remove(filepath.Join(root, store.LocksDir, remove)); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(root, store.LocksDir, remove), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{store.SnapshotsDir, store.MarksDir, podstate.PodsDir, podstate.PreheatDir, store.TrashDir} {
		if err := os.MkdirAll(filepath.Join(root, dir, strings.Repeat("n", 255)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, podstate.PreheatDir, "x.json"), []byte(strings.Repeat("[", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, store.IDFile)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, store.IDFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(b.base, "not_a_namespace"), filepath.Join(b.base, "x", "no-uid")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	b.gateway.awaitReport("the good store", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		c := contentsIn(r, good)
		return len(c.GetContents().GetSnapshots()) == 1 && c.GetContents().GetSnapshots()[0].GetId() == string(id)
	})
	for _, path := range []string{filepath.Join(b.base, "not_a_namespace"), filepath.Join(b.base, "x", "no-uid")} {
		if !exists(path) {
			t.Errorf("%s is gone", path)
		}
	}
}

func TestATimeInTheFutureIsNotBelieved(t *testing.T) {
	b := newBench(t)
	b.options.NodeQuota = store.Amount{Bytes: 500}
	p := place("shop", 1)
	forged := b.addUnused(p, "1", 300, -1000*time.Hour)
	honest := b.addUnused(p, "2", 300, time.Hour)
	b.start()
	b.await("the snapshot with a forged time to go first", func() bool { return !b.has(p, forged) })
	b.lookTwice()
	if !b.has(p, honest) {
		t.Error("the other one is gone")
	}
}

func TestOfTwoKeepersOneWaits(t *testing.T) {
	b := newBench(t)
	b.start()
	b.lookTwice()
	second, err := New(b.options)
	if err != nil {
		t.Fatal(err)
	}
	looked := make(chan struct{}, 100)
	second.looked = func([]*census.Store) { looked <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	b.lookTwice()
	select {
	case <-looked:
		t.Error("both looked after the stores")
	default:
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAChangeDuringAReportIsReportedRightAfterIt(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	b.addUnused(p, "1", 10, time.Hour)
	entered, leave := make(chan struct{}), make(chan struct{})
	first := true
	b.gateway.report = func(*gatewayv1alpha1.ReportNodeRequest) error {
		if first {
			first = false
			close(entered)
			<-leave
		}
		return nil
	}
	b.start()
	<-entered
	b.addUnused(p, "2", 20, time.Hour)
	b.lookTwice()
	close(leave)
	b.gateway.awaitReport("both snapshots", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		return len(contentsIn(r, p).GetContents().GetSnapshots()) == 2
	})
}

func TestWhatWasNotTakenIsReportedAgain(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	b.addUnused(p, "1", 10, time.Hour)
	failures := 0
	b.gateway.report = func(*gatewayv1alpha1.ReportNodeRequest) error {
		if failures++; failures < 3 {
			return errors.New("not now")
		}
		return nil
	}
	b.start()
	r := b.gateway.awaitReport("the store", func(r *gatewayv1alpha1.ReportNodeRequest) bool { return contentsIn(r, p) != nil })
	if len(r.GetDirectories()) != 1 || r.GetNodeUsedBytes() != 10 {
		t.Errorf("the report says %v", r)
	}
}

func TestANewStoreIsAskedAbout(t *testing.T) {
	b := newBench(t)
	b.start()
	if first := <-b.gateway.requests; len(first.GetDirectories()) != 0 {
		t.Errorf("asked about %v", first)
	}
	p := place("shop", 1)
	b.addUnused(p, "1", 10, time.Hour)
	b.keeper.signalChange()
	second := <-b.gateway.requests
	if len(second.GetDirectories()) != 1 || placeOf(second.GetDirectories()[0]) != p {
		t.Errorf("asked about %v", second)
	}
}

func TestAFullReportIsDividedIntoWhatTheGatewayTakes(t *testing.T) {
	b := newBench(t)
	const stores = maxReported + 3
	for i := range stores {
		b.open(place("n"+uidOf(i)[4:8], i))
	}
	b.start()
	seen := map[string]bool{}
	b.gateway.awaitReport("all stores", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
		if len(r.GetStores()) > maxReported || len(r.GetDirectories()) != stores {
			t.Errorf("a report of %d stores and %d directories", len(r.GetStores()), len(r.GetDirectories()))
		}
		for _, c := range r.GetStores() {
			seen[placeOf(c.GetDirectory()).String()] = true
		}
		return len(seen) == stores
	})
}

func TestChangedBytesAreFoundAndReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		needed bool
		want   gatewayv1alpha1.DamageOutcome
	}{
		"unused": {false, gatewayv1alpha1.DamageOutcome_DAMAGE_OUTCOME_REMOVED},
		"used":   {true, gatewayv1alpha1.DamageOutcome_DAMAGE_OUTCOME_MARKED},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.options.VerifyEvery = time.Hour
			p := place("shop", 1)
			s := b.open(p)
			l := b.add(s, "1", map[string]string{"a": "first", "b/c": "second"})
			sharing := b.add(s, "2", map[string]string{"x": "third"})
			innocent := b.add(s, "3", map[string]string{"y": "fourth"})
			linkInto(t, filepath.Join(l.Dir(), "b/c"), sharing, "x")
			if c.needed {
				b.makePod(b.root(p), uidOf(11), l.ID())
				b.publish(uidOf(11) + " " + p.String())
			} else {
				b.close(l)
			}
			changeByte(t, filepath.Join(l.Dir(), "b/c"))
			b.start()
			b.lookTwice()
			b.clock.advance(2 * time.Hour)
			b.keeper.signalChange()
			r := b.gateway.awaitReport("the damage", func(r *gatewayv1alpha1.ReportNodeRequest) bool {
				return len(r.GetDamages()) > 0 && r.GetDamages()[0].GetSnapshot() == string(l.ID()) ||
					len(r.GetDamages()) > 1 && r.GetDamages()[1].GetSnapshot() == string(l.ID())
			})
			for _, d := range r.GetDamages() {
				if d.GetSnapshot() == string(l.ID()) && (d.GetOutcome() != c.want || d.GetFile() != "b/c" || d.GetPath() != "models/m") {
					t.Errorf("reported %v", d)
				}
			}
			suspect := filepath.Join(b.root(p), store.LocksDir, store.SuspectName(l.ID()))
			if b.has(p, l.ID()) != c.needed || exists(suspect) != c.needed {
				t.Errorf("the snapshot is there: %v; it is marked: %v", b.has(p, l.ID()), exists(suspect))
			}
			b.await("the one that shares the file to be marked", func() bool {
				return !b.has(p, sharing.ID()) || exists(filepath.Join(b.root(p), store.LocksDir, store.SuspectName(sharing.ID())))
			})
			if exists(filepath.Join(b.root(p), store.LocksDir, store.SuspectName(innocent.ID()))) {
				t.Error("one that is right is marked")
			}
			if c.needed {
				if _, err := s.Lease(l.ID()); !errors.Is(err, snapshot.ErrDamaged) {
					t.Errorf("the damaged snapshot is served: %v", err)
				}
			}
		})
	}
}

// linkInto makes a file of a snapshot another name of one elsewhere, as a delta does.
func linkInto(t *testing.T, from string, l *store.Lease, name string) {
	t.Helper()
	to := filepath.Join(l.Dir(), name)
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(from, to); err != nil {
		t.Fatal(err)
	}
}

// changeByte changes a byte and sets the time back.
func changeByte(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{'#'}, 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
}

func TestWhenSnapshotsWereComparedIsReportedAndRemembered(t *testing.T) {
	b := newBench(t)
	b.options.VerifyEvery = time.Hour
	p := place("shop", 1)
	b.addUnused(p, "1", 10, time.Hour)
	b.start()
	b.lookTwice()
	b.clock.advance(2 * time.Hour)
	b.keeper.signalChange()
	b.await("the comparison", func() bool { return b.keeper.verifier.verifiedBy(p) != nil })
	want := timestamppb.New(b.clock.Now())
	if got := b.keeper.verifier.verifiedBy(p); !got.AsTime().Equal(want.AsTime()) {
		t.Errorf("compared at %v, want %v", got.AsTime(), want.AsTime())
	}
	b.await("it to be written down", func() bool { return exists(filepath.Join(b.base, stateFile)) })
}

func TestADirectoryIsGivenBackWhoseVolumeWasMountedMeanwhile(t *testing.T) {
	b := newBench(t)
	p := place("shop", 1)
	b.open(p)
	b.makePod(b.root(p), uidOf(11))
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
	if gone, err := k.removePod(base, p, uidOf(11)); gone || err != nil {
		t.Errorf("removed %v, %v", gone, err)
	}
	if !exists(filepath.Join(b.root(p), podstate.PodsDir, uidOf(11), "view")) {
		t.Error("the directory of a pod is gone whose volume is mounted")
	}
	b.publish()
	if gone, err := k.removePod(base, p, uidOf(11)); !gone || err != nil {
		t.Errorf("removed %v, %v", gone, err)
	}
}

func TestTheKeeperEndsWhenTheStoresAreDeletedUnderIt(t *testing.T) {
	b := newBench(t)
	k, err := New(b.options)
	if err != nil {
		t.Fatal(err)
	}
	looked := make(chan struct{}, 100)
	k.looked = func([]*census.Store) { looked <- struct{}{} }
	ended := make(chan error, 1)
	go func() { ended <- k.Run(t.Context()) }()
	<-looked
	if err := os.RemoveAll(b.base); err != nil {
		t.Fatal(err)
	}
	k.signalChange()
	if err := <-ended; !errors.Is(err, errBaseGone) {
		t.Errorf("ended with %v", err)
	}
}
