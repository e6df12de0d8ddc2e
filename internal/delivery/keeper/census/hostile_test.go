// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// hostileStore is a store that a process of its namespace fills with what no runtime
// writes. All its pods live.
type hostileStore struct {
	t    *testing.T
	root string
}

func newHostileStore(t *testing.T) hostileStore {
	t.Helper()
	s := hostileStore{t, t.TempDir()}
	for _, name := range []string{store.SnapshotsDir, store.LocksDir, store.MarksDir, podstate.PodsDir, podstate.PreheatDir} {
		s.mkdir(name)
	}
	s.write("x", store.IDFile)
	return s
}

func (s hostileStore) path(names ...string) string {
	return filepath.Join(append([]string{s.root}, names...)...)
}

func (s hostileStore) mkdir(names ...string) {
	s.t.Helper()
	if err := os.MkdirAll(s.path(names...), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s hostileStore) write(text string, names ...string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(names...), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// snapshot writes the header of a manifest.
func (s hostileStore) snapshot(n int, text string) snapshot.ID {
	s.t.Helper()
	id := fmt.Sprintf("%040x", n)
	s.mkdir(store.SnapshotsDir, id)
	s.write(text, store.SnapshotsDir, id, snapshot.ManifestName)
	return snapshot.ID(id)
}

func manifestOf(path string, bytes int64) string {
	const form = `{"format":1,"key":{"source":"s3://b","path":%q,"version":"1"},"digest":"xxh3:00","bytes":%d,"entries":[]}`
	return fmt.Sprintf(form, path, bytes)
}

func podUID(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }

func (s hostileStore) look() (*Census, *Store) {
	s.t.Helper()
	c := New(Options{Alive: func(Place, string) bool { return true }, Now: time.Now})
	dir, err := confined.Open(s.root)
	if err != nil {
		s.t.Fatal(err)
	}
	defer dir.Close()
	c.Begin()
	found, err := c.Look(dir, Place{Namespace: "hostile", UID: podUID(1)}, published.Volumes{})
	c.End()
	if err != nil {
		s.t.Fatalf("one store keeps all others from being looked at: %v", err)
	}
	return c, found
}

// readBytes is how much this process has read.
func readBytes(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestRecordsWithoutEndCostOnlyTheirStore(t *testing.T) {
	s := newHostileStore(t)
	for pod := range 20 {
		s.mkdir(podstate.PodsDir, podUID(pod), podstate.DatasetsDir)
		for n := range 100 {
			name := fmt.Sprintf("d%d%s", n, podstate.RecordSuffix)
			s.write("", podstate.PodsDir, podUID(pod), podstate.DatasetsDir, name)
			// A file without blocks costs its owner nothing.
			if err := os.Truncate(s.path(podstate.PodsDir, podUID(pod), podstate.DatasetsDir, name), maxRecord); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := readBytes(t)
	_, found := s.look()
	if read := readBytes(t) - before; read > 128<<20 {
		t.Errorf("a look read %d MiB", read>>20)
	}
	if found.Unreadable == "" {
		t.Error("it is not said that not all was read")
	}
}

func TestNamesOfSnapshotsThatAreNotThereTakeLittleMemory(t *testing.T) {
	s := newHostileStore(t)
	for pod := range 4 {
		s.mkdir(podstate.PodsDir, podUID(pod), podstate.DatasetsDir)
		var b strings.Builder
		fmt.Fprintf(&b, `{"revisions":{"r":{"items":{"i":{"snapshot":"%040x"}`, pod)
		for n := range 15_000 {
			fmt.Fprintf(&b, `,"%d":{"snapshot":"%040x"}`, n, 1_000_000*(pod+1)+n)
		}
		b.WriteString("}}}}")
		s.write(b.String(), podstate.PodsDir, podUID(pod), podstate.DatasetsDir, "d"+podstate.RecordSuffix)
	}
	before := heap()
	_, found := s.look()
	if grown := int64(heap()) - int64(before); grown > 6<<20 {
		t.Errorf("%d KiB are kept of one store", grown>>10)
	}
	runtime.KeepAlive(found)
}

func TestManifestsThatNoRuntimeWritesTakeNoMemory(t *testing.T) {
	s := newHostileStore(t)
	for n := range 40 {
		s.snapshot(n, manifestOf(strings.Repeat("p", 200<<10), 1))
	}
	s.snapshot(1000, manifestOf("models/m", 1))
	before := heap()
	c, found := s.look()
	if grown := int64(heap()) - int64(before); grown > 2<<20 {
		t.Errorf("%d KiB are kept of 40 snapshots", grown>>10)
	}
	if len(found.Snapshots) != 41 && !strings.Contains(found.Unreadable, errSlow.Error()) {
		t.Errorf("%d snapshots, unreadable: %q", len(found.Snapshots), found.Unreadable)
	}
	runtime.KeepAlive(c)
}

func TestBytesThatNoDiskHasDoNotOverflow(t *testing.T) {
	s := newHostileStore(t)
	for n := range 3 {
		s.snapshot(n, manifestOf("models/m", math.MaxInt64))
	}
	id := fmt.Sprintf("%040x", 9)
	s.mkdir(store.SnapshotsDir, id+store.PartialSuffix)
	s.write(fmt.Sprint(math.MaxInt64), store.SnapshotsDir, id+store.PartialSuffix, store.ReservedFile)
	_, found := s.look()
	sum := int64(0)
	for _, one := range found.Snapshots {
		sum += one.Bytes
	}
	sum += found.Partials[0].Bytes
	if sum < 0 || len(found.Snapshots) != 3 {
		t.Errorf("the bytes of %d snapshots and a download are %d", len(found.Snapshots), sum)
	}
}

func TestALeaseOnAFileHidesOnlyThatFile(t *testing.T) {
	for _, name := range []string{store.IDFile, filepath.Join(store.SnapshotsDir, fmt.Sprintf("%040x", 1), snapshot.ManifestName),
		filepath.Join(podstate.PreheatDir, "d"+podstate.RecordSuffix)} {
		t.Run(name, func(t *testing.T) {
			s := newHostileStore(t)
			s.snapshot(1, manifestOf("models/m", 1))
			s.snapshot(2, manifestOf("models/m", 1))
			s.write("{}", podstate.PreheatDir, "d"+podstate.RecordSuffix)
			f, err := os.OpenFile(s.path(name), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
				t.Fatal(err)
			}
			_, found := s.look()
			if len(found.Snapshots) == 0 || found.Unreadable == "" {
				t.Errorf("%d snapshots, unreadable: %q", len(found.Snapshots), found.Unreadable)
			}
		})
	}
}

func TestWhatCannotBeReadIsSaidInATextThatAMessageCarries(t *testing.T) {
	s := newHostileStore(t)
	s.mkdir(podstate.PodsDir, "\xff\xfe"+strings.Repeat("\xf0", 200))
	s.write("", podstate.PodsDir, "\xff\xfe"+strings.Repeat("\xf0", 200), podstate.DatasetsDir)
	s.mkdir(podstate.PodsDir, podUID(1))
	s.write("", podstate.PodsDir, podUID(1), podstate.DatasetsDir)
	_, found := s.look()
	if !utf8.ValidString(found.Unreadable) || found.Unreadable == "" || len(found.Unreadable) > 1024 {
		t.Errorf("unreadable: %q", found.Unreadable)
	}
	for _, uids := range found.Users {
		for _, uid := range uids {
			if !utf8.ValidString(uid) {
				t.Errorf("a user is %q", uid)
			}
		}
	}
}

func TestNamesThatAreCutAreStillTexts(t *testing.T) {
	s := newHostileStore(t)
	s.snapshot(1, manifestOf("a"+strings.Repeat("é", 5000), 1))
	_, found := s.look()
	if len(found.Snapshots) != 1 || !utf8.ValidString(found.Snapshots[0].Key.Path) {
		t.Errorf("snapshots: %+v", found.Snapshots)
	}
}

func TestAStoreIsCountedHoweverMuchTheOthersHave(t *testing.T) {
	s := newHostileStore(t)
	for n := range minSnapshots {
		s.snapshot(n, manifestOf("models/m", 1))
	}
	dir, err := confined.Open(s.root)
	check(t, err)
	defer dir.Close()
	c := newCensus()
	c.Begin()
	c.snapshots, c.text = maxNodeSnapshots, maxStoreText
	found, err := c.Look(dir, Place{Namespace: "victim", UID: podUID(1)}, published.Volumes{})
	check(t, err)
	if len(found.Snapshots) != minSnapshots || found.Snapshots[0].Key.Path == "" {
		t.Errorf("%d snapshots, unreadable: %q", len(found.Snapshots), found.Unreadable)
	}
}
