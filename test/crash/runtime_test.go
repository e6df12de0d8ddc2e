//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/fetchcmd"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/view"
	"github.com/kuda-io/kuda/internal/source"
	sourcehttp "github.com/kuda-io/kuda/internal/source/http"
)

// envVictim makes the test's binary be a victim, with what is in it as JSON.
const envVictim = "KUDA_CRASH_VICTIM"

// victim is a process that is killed, or one of many.
type victim struct {
	Root, URL string
	// Quota of the store.
	Quota int64
	// Version of the large file that the victim delivers alone, and keeps until
	// its input ends; 0 for one version after the other of all there is.
	Version int
	// Publish is the directory that the victim fetches the tree of now into, once;
	// empty for a victim that keeps a store and a view.
	Publish string
	// Forgets are the calls of the kernel that the victim forgets to make.
	Forgets []int
}

func TestMain(m *testing.M) {
	text := os.Getenv(envVictim)
	if text == "" {
		os.Exit(m.Run())
	}
	var v victim
	err := json.Unmarshal([]byte(text), &v)
	if err == nil && len(v.Forgets) > 0 {
		err = forget(v.Forgets)
	}
	switch {
	case err != nil:
	case v.Publish != "":
		if err = v.fetch(); err == nil {
			return
		}
	case v.Version > 0:
		err = v.deliverOne()
	default:
		err = v.run()
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}

// The phases of a victim's life, as it tells them when they begin.
const (
	downloading = "downloading"
	staging     = "staging"
	publishing  = "publishing"
	switching   = "switching"
	evicting    = "evicting"
)

var phases = []string{downloading, staging, publishing, switching, evicting}

// tell says what begins. The parent reads it from a pipe, so it is there however
// the victim ends.
func tell(phase string) { fmt.Println(phase) }

const dataset = "ds"

func viewDir(root string) string { return filepath.Join(root, "pods", "uid", "view") }

func key(path string, version int) snapshot.Key {
	return snapshot.Key{Source: "crash", Path: path, Version: strconv.Itoa(version)}
}

func openSource(url string, version int) (source.Source, error) {
	return sourcehttp.New(sourcehttp.Config{URL: fmt.Sprintf("%s/v%d", url, version)})
}

func newEngine(s *store.Store) *transfer.Engine {
	return transfer.New(transfer.Options{Store: s, Stall: 2 * time.Second, Attempts: 4})
}

// run brings one version after the other into the view, from the one that is
// there on.
func (v victim) run() error {
	s, err := store.Open(store.Options{Root: v.Root, Quota: v.Quota})
	if err != nil {
		return err
	}
	vw, err := view.Open(viewDir(v.Root), view.Options{Grace: time.Nanosecond})
	if err != nil {
		return err
	}
	r := &runtime{victim: v, store: s, view: vw, engine: newEngine(s)}
	version := 0
	if current, ok := vw.Current(dataset); ok {
		if version, err = strconv.Atoi(current); err != nil {
			return err
		}
	}
	for {
		version++
		if err := r.bring(version); err != nil {
			return err
		}
	}
}

// fetch does what "kuda-runtime fetch" does.
func (v victim) fetch() error {
	cmd := fetchcmd.New()
	cmd.SetArgs([]string{v.URL + "/now/tree/", v.Publish})
	return cmd.ExecuteContext(context.Background())
}

type runtime struct {
	victim
	store  *store.Store
	view   *view.View
	engine *transfer.Engine
	leases []*store.Lease
}

func (r *runtime) bring(version int) error {
	src, err := openSource(r.URL, version)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	items := make([]view.Item, 0, 2)
	var leases []*store.Lease
	for _, path := range []string{"large", "tree/"} {
		lease, err := r.deliver(src, key(path, version))
		if err != nil {
			return err
		}
		leases = append(leases, lease)
		items = append(items, viewItem(path, lease))
	}
	if err := publish(r.view, version, items); err != nil {
		return err
	}
	tell(evicting)
	for _, l := range r.leases {
		if err := l.Close(); err != nil {
			return err
		}
	}
	r.leases = leases
	if _, err := r.view.Collect(); err != nil {
		return err
	}
	if _, err := r.store.Prune(0, false); err != nil {
		return err
	}
	return r.store.Collect()
}

// deliver tells the phases of a delivery as the engine reports them.
func (r *runtime) deliver(src source.Source, k snapshot.Key) (*store.Lease, error) {
	tell(downloading)
	result, err := r.engine.Deliver(context.Background(), transfer.NewRequest(src, k, func(p transfer.Progress) {
		if p.State == transfer.Verifying {
			tell(staging)
		}
	}))
	if err != nil {
		return nil, err
	}
	return result.Lease, nil
}

func viewItem(path string, l *store.Lease) view.Item {
	m := l.Manifest()
	item := view.Item{LocalPath: filepath.Clean(path), Mark: string(l.ID()) + " " + m.Digest, Dir: l.Dir(), Single: m.File}
	for _, e := range m.Entries {
		item.Files = append(item.Files, view.File{Path: e.Path, Link: e.Link, Size: e.Size})
	}
	return item
}

func publish(v *view.View, version int, items []view.Item) error {
	revision := strconv.Itoa(version)
	tell(publishing)
	if err := v.Prepare(dataset, revision, items); err != nil {
		return err
	}
	tell(switching)
	return v.Switch(dataset, revision)
}
