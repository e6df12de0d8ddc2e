// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

type state = status.State

func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, " ")
}

// wantMarks waits for the names of the items of an assignment in the store: a
// restarted runtime reports what it remembers before it has looked at it.
func (p *pod) wantMarks(a *gatewayv1alpha1.Assignment) {
	p.t.Helper()
	st := p.open(store.Options{})
	changes := st.Changes()
	defer changes.Stop()
	deadline := time.After(20 * time.Second)
	for {
		unknown := p.unmarked(st, a)
		if len(unknown) == 0 {
			return
		}
		select {
		case <-changes.Told():
		case <-deadline:
			p.t.Errorf("it is not known that %v are here", unknown)
			return
		}
	}
}

// unmarked are the versions of items whose names are not in the store.
func (p *pod) unmarked(st *store.Store, a *gatewayv1alpha1.Assignment) (unknown []string) {
	p.t.Helper()
	snapshots, err := st.Snapshots()
	if err != nil {
		p.t.Fatal(err)
	}
	downloads, err := st.Downloads()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, i := range a.GetItems() {
		mark := item.Mark(i, a.GetSources()[0])
		if !slices.ContainsFunc(append(snapshots, downloads...), func(s store.Snapshot) bool {
			return s.Key.Version == i.GetVersion() && slices.Contains(s.Marks, mark)
		}) {
			unknown = append(unknown, i.GetVersion())
		}
	}
	return unknown
}

func TestDownloadsSnapshotsAndPrefetchesAreMarked(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	for _, path := range []string{"/a1", "/b1", "/a2"} {
		f.Put(path, path)
	}
	r1, r2 := f.Assignment("ds", "r1", "a", "/a1", "b", "/b1"), f.Assignment("ds", "r2", "a", "/a2", "b", "/b1")
	release := f.Block("/b1")
	g.Want(r1)
	p := newPod(t, g)
	g.Await("downloading", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetItems()[1].GetPhase() == gatewayv1alpha1.Phase_PHASE_DOWNLOADING
	})
	p.wantMarks(f.Assignment("ds", "r1", "b", "/b1"))
	release()
	g.Success("ds-pod", "r1")
	p.wantMarks(r1)
	g.Want(later(f.Assignment("ds", "r1", "a", "/a1", "b", "/b1"), r2))
	prefetchPhase(g, "r2", prefetched)
	p.wantMarks(r2)
	// An older release delivered without marks.
	p.stop()
	if err := os.RemoveAll(filepath.Join(p.root, "marks")); err != nil {
		t.Fatal(err)
	}
	g.Forget()
	p.start()
	g.Success("ds-pod", "r1")
	p.wantMarks(r1)
	prefetchPhase(g, "r2", prefetched)
	p.wantMarks(r2)
}

func TestDeliveryContinuesAfterTheStoreIsDeleted(t *testing.T) {
	for name, paths := range map[string][]string{
		"all but the pods": {"snapshots", "marks", "locks", "trash", "id", "boot"}, "the snapshots": {"snapshots"}, "the locks": {"locks"},
	} {
		t.Run(name, func(t *testing.T) {
			g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
			for _, path := range []string{"/a1", "/a2", "/same"} {
				f.Put(path, path)
			}
			g.Want(f.Assignment("ds", "r1", "a", "/a1", "b", "/same"))
			p := newPod(t, g)
			g.Success("ds-pod", "r1")
			for _, path := range paths {
				if err := os.RemoveAll(filepath.Join(p.root, path)); err != nil {
					t.Fatal(err)
				}
			}
			g.Want(f.Assignment("ds", "r2", "a", "/a2", "b", "/same"))
			g.Success("ds-pod", "r2")
			p.wantFile("a", "/a2")
			p.wantFile("b", "/same")
			p.wantMarks(f.Assignment("ds", "r2", "a", "/a2", "b", "/same"))
		})
	}
}
