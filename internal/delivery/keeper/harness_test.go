// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const podsDir = "/var/lib/kubelet/pods"

// uidOf is a UID in the form of the API server's.
func uidOf(n int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", n) }

// bench is a node of which a keeper looks after the stores.
type bench struct {
	t       testing.TB
	base    string
	table   string
	gateway *gateway
	clock   *clock
	options Options
	keeper  *Keeper
	looks   chan []*census.Store
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, base: filepath.Join(t.TempDir(), "@node"), gateway: newGateway(t), clock: &clock{now: time.Now()},
		looks: make(chan []*census.Store, 1000)}
	b.table = filepath.Join(filepath.Dir(b.base), "mountinfo")
	if err := os.Mkdir(b.base, 0o700); err != nil {
		t.Fatal(err)
	}
	b.publish()
	b.options = Options{Base: b.base, Table: published.Table{File: b.table, Pods: podsDir}, Gateway: b.gateway, Version: "test",
		High: 80, Low: 70, VerifyRate: 1 << 40, Now: b.clock.Now, Log: testr.NewWithOptions(asT(t), testr.Options{Verbosity: 1}),
		Pace: Pace{Settle: time.Millisecond, Look: time.Hour, Apart: time.Millisecond, Repeat: time.Hour, Standby: 5 * time.Millisecond}}
	return b
}

// asT is the test that a benchmark logs to.
func asT(t testing.TB) *testing.T {
	if real, ok := t.(*testing.T); ok {
		return real
	}
	return new(testing.T)
}

// start runs the keeper until the test ends.
func (b *bench) start() {
	b.t.Helper()
	k, err := New(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	k.life.booted = func() time.Duration { return time.Hour }
	k.looked = func(s []*census.Store) { b.looks <- s }
	b.keeper = k
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("the keeper ended with %v", err)
		}
	})
}

// await has the stores looked at until a condition holds.
func (b *bench) await(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(30 * time.Second)
	for !holds() {
		b.keeper.signalChange()
		select {
		case <-b.looks:
		case <-deadline:
			b.t.Fatalf("never seen: %s", what)
		}
	}
}

// lookTwice waits until two looks began and ended after now.
func (b *bench) lookTwice() {
	b.t.Helper()
	n := -1
	b.await("two looks", func() bool { n++; return n > 2 })
}

// publish says which pods have volumes, as "<uid of pod> <store>".
func (b *bench) publish(volumes ...string) {
	b.t.Helper()
	text := "1 0 8:1 / " + podsDir + " rw master:5 - ext4 /dev/sda1 rw\n"
	for _, v := range volumes {
		uid, place, _ := strings.Cut(v, " ")
		text += fmt.Sprintf("2 1 8:1 /@node/%s %s/%s/volumes/kubernetes.io~csi/kuda-store/mount rw - ext4 /dev/sda1 rw\n", place, podsDir, uid)
	}
	aside := b.table + ".new"
	if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(aside, b.table); err != nil {
		b.t.Fatal(err)
	}
	if b.keeper != nil {
		b.keeper.signalChange()
	}
}

// place of a namespace whose UID is of a number.
func place(namespace string, n int) census.Place {
	return census.Place{Namespace: namespace, UID: uidOf(n)}
}

func (b *bench) root(p census.Place) string { return filepath.Join(b.base, p.Namespace, p.UID) }

// open opens a store as a runtime does.
func (b *bench) open(p census.Place) *store.Store {
	b.t.Helper()
	if err := os.MkdirAll(b.root(p), 0o700); err != nil {
		b.t.Fatal(err)
	}
	pods := podstate.NewPods(b.root(p))
	s, err := store.Open(store.Options{Root: b.root(p), Needed: pods.Needed, Wanted: pods.Wanted})
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func keyOf(version string) snapshot.Key {
	return snapshot.Key{Source: "s3://bucket", Path: "models/m", Version: version}
}

// add makes a snapshot of files, by path and content, and returns its lease.
func (b *bench) add(s *store.Store, version string, files map[string]string) *store.Lease {
	b.t.Helper()
	l, w, err := s.Acquire(b.t.Context(), keyOf(version), func() {})
	if err != nil || l != nil {
		b.t.Fatalf("acquiring: %v, %v", l, err)
	}
	m := &snapshot.Manifest{}
	listing := digest.NewListing(digest.XXH3)
	for _, name := range sortedKeys(files) {
		e := b.put(w, name, files[name])
		m.Entries, m.Bytes = append(m.Entries, e), m.Bytes+e.Size
		listing.Add(e.Path, e.Digest)
	}
	m.Digest = listing.Digest()
	if l, err = w.Commit(m); err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *bench) put(w *store.Writer, name, content string) snapshot.Entry {
	b.t.Helper()
	if err := w.Root().MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := w.Root().WriteFile(name, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	info, err := w.Root().Stat(name)
	if err != nil {
		b.t.Fatal(err)
	}
	sum, err := digest.Reader(strings.NewReader(content), digest.XXH3, make([]byte, 1<<20))
	if err != nil {
		b.t.Fatal(err)
	}
	e := snapshot.Entry{Path: name, Size: int64(len(content)), Mode: 0o644, Digest: sum, Modified: info.ModTime().UnixNano()}
	if err := w.Done(e); err != nil {
		b.t.Fatal(err)
	}
	return e
}

// addUnused is add without a lease; the snapshot was last used so long ago.
func (b *bench) addUnused(p census.Place, version string, bytes int, ago time.Duration) snapshot.ID {
	b.t.Helper()
	s := b.open(p)
	l := b.add(s, version, map[string]string{"file": strings.Repeat("x", bytes)})
	b.close(l)
	if err := s.Close(); err != nil {
		b.t.Fatal(err)
	}
	at := b.clock.Now().Add(-ago)
	if err := os.Chtimes(filepath.Join(b.root(p), store.LocksDir, store.LeaseName(l.ID())), at, at); err != nil {
		b.t.Fatal(err)
	}
	return l.ID()
}

func (b *bench) close(l *store.Lease) {
	b.t.Helper()
	if err := l.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) has(p census.Place, id snapshot.ID) bool {
	_, err := os.Lstat(filepath.Join(b.root(p), store.SnapshotsDir, string(id)))
	return err == nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func sortedKeys(m map[string]string) (keys []string) {
	for key := range m {
		i := 0
		for i < len(keys) && keys[i] < key {
			i++
		}
		keys = append(keys[:i], append([]string{key}, keys[i:]...)...)
	}
	return keys
}

// clock is set by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// gateway is a gateway whose answers the test decides.
type gateway struct {
	t        testing.TB
	requests chan *gatewayv1alpha1.WatchNodeRequest
	reports  chan *gatewayv1alpha1.ReportNodeRequest

	mu      sync.Mutex
	handler uplink.NodeHandler
	tell    *gatewayv1alpha1.WatchNodeResponse
	// report is called for each report before it is taken.
	report func(*gatewayv1alpha1.ReportNodeRequest) error
}

func newGateway(t testing.TB) *gateway {
	return &gateway{t: t, requests: make(chan *gatewayv1alpha1.WatchNodeRequest, 1000),
		reports: make(chan *gatewayv1alpha1.ReportNodeRequest, 1000), tell: &gatewayv1alpha1.WatchNodeResponse{}}
}

// WatchNode implements Gateway.
func (g *gateway) WatchNode(ctx context.Context, r *gatewayv1alpha1.WatchNodeRequest, h uplink.NodeHandler) {
	g.requests <- r
	g.mu.Lock()
	g.handler = h
	h.Told(g.tell)
	h.Connected(true)
	g.mu.Unlock()
	<-ctx.Done()
	h.Connected(false)
}

// say changes what the gateway says.
func (g *gateway) say(m *gatewayv1alpha1.WatchNodeResponse) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell = m
	if g.handler != nil {
		g.handler.Told(m)
	}
}

// ReportNode implements Gateway.
func (g *gateway) ReportNode(_ context.Context, r *gatewayv1alpha1.ReportNodeRequest) error {
	g.mu.Lock()
	f := g.report
	g.mu.Unlock()
	if f != nil {
		if err := f(r); err != nil {
			return err
		}
	}
	g.reports <- r
	return nil
}

// awaitReport waits for a report that the test is after.
func (g *gateway) awaitReport(what string, match func(*gatewayv1alpha1.ReportNodeRequest) bool) *gatewayv1alpha1.ReportNodeRequest {
	g.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case r := <-g.reports:
			if match(r) {
				return r
			}
			g.t.Logf("report: %v", r)
		case <-deadline:
			g.t.Fatalf("never reported: %s", what)
		}
	}
}

// contentsIn returns what a report says of a store; nil: nothing.
func contentsIn(r *gatewayv1alpha1.ReportNodeRequest, p census.Place) *gatewayv1alpha1.StoreContents {
	for _, c := range r.GetStores() {
		if placeOf(c.GetDirectory()) == p {
			return c
		}
	}
	return nil
}
