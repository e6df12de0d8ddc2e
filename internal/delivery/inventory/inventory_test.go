// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestChangesOfTheStoreAreReported(t *testing.T) {
	root := t.TempDir()
	r := start(t, root, quick)
	r.Connected(true)
	first := r.await("an empty store", holds())
	if first.GetStoreId() == "" || first.GetCapacityBytes() == 0 || first.GetAvailableBytes() == 0 {
		t.Errorf("got %v", first)
	}
	w := begin(t, r.store, "v1")
	got := r.await("a download", func(r *gatewayv1alpha1.ReportStoreRequest) bool {
		return len(r.GetSnapshots()) == 1 && r.GetSnapshots()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_DOWNLOADING
	}).GetSnapshots()[0]
	if !slices.Equal(got.GetMarks(), []string{mark}) || got.GetId() != string(w.Key().ID()) {
		t.Errorf("got %v", got)
	}
	if err := w.Reserve(4096, 4096); err != nil {
		t.Fatal(err)
	}
	r.await("how large it is", func(r *gatewayv1alpha1.ReportStoreRequest) bool { return r.GetSnapshots()[0].GetBytes() == 4096 })
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r.await("that its download ended", func(r *gatewayv1alpha1.ReportStoreRequest) bool { return len(r.GetSnapshots()) == 0 })
	w = begin(t, r.store, "v1")
	l, err := w.Commit(&snapshot.Manifest{Digest: "xxh3:00"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got = r.await("a snapshot", holds("v1")).GetSnapshots()[0]
	if got.GetSource() != "s3://minio:9000/models" || got.GetPath() != "bert/" || got.GetId() != string(l.ID()) ||
		got.GetDigest() != "xxh3:00" ||
		!slices.Equal(got.GetMarks(), []string{mark}) || got.GetLastUsed() == nil {
		t.Errorf("got %v", got)
	}
	if err := r.store.Mark(l.ID(), "0b"); err != nil {
		t.Fatal(err)
	}
	r.await("another name of it", func(r *gatewayv1alpha1.ReportStoreRequest) bool { return len(r.GetSnapshots()[0].GetMarks()) == 2 })
	record := fmt.Sprintf(`{"revisions":{"r1":{"items":{"n/i":{"snapshot":%q}}}}}`, l.ID())
	write(t, filepath.Join(root, podstate.PreheatDir, "ds.json"), record)
	r.await("that it is preheated", func(r *gatewayv1alpha1.ReportStoreRequest) bool { return r.GetSnapshots()[0].GetPreheated() })
	if err := os.Remove(filepath.Join(root, podstate.PreheatDir, "ds.json")); err != nil {
		t.Fatal(err)
	}
	r.await("that it is not", func(r *gatewayv1alpha1.ReportStoreRequest) bool { return !r.GetSnapshots()[0].GetPreheated() })
	if _, err := r.store.Evict(l.ID()); err != nil {
		t.Fatal(err)
	}
	r.await("its eviction", holds())
}

func TestChangesAreFoundWithoutKernelEvents(t *testing.T) {
	pace := quick
	pace.Look = 5 * time.Millisecond
	root := t.TempDir()
	r := start(t, root, pace)
	r.Connected(true)
	r.await("an empty store", holds())
	id := add(t, r.store, "v1")
	r.await("a snapshot", holds("v1"))
	// Of pods the kernel tells nothing in any case.
	write(t, filepath.Join(root, "pods", "uid", "datasets", "ds.json"),
		fmt.Sprintf(`{"revisions":{"r1":{"items":{"n/i":{"snapshot":%q}}}}}`, id))
	r.await("a pod", func(r *gatewayv1alpha1.ReportStoreRequest) bool { return r.GetSnapshots()[0].GetPods() == 1 })
}

func TestUnchangedStoreIsReportedOncePerConnection(t *testing.T) {
	pace := quick
	pace.Look = time.Millisecond
	r := start(t, t.TempDir(), pace)
	r.after(1)
	r.silent("no gateway listens")
	r.Connected(true)
	r.await("an empty store", holds())
	r.after(20)
	r.silent("nothing has changed")
	r.Connected(false)
	r.Connected(true)
	r.await("it again, to who listens now", holds())
	r.after(20)
	r.silent("nothing has changed")
}

func TestUnchangedStoreIsReportedEveryRepeatInterval(t *testing.T) {
	pace := quick
	pace.Repeat = 5 * time.Millisecond
	r := start(t, t.TempDir(), pace)
	r.Connected(true)
	for range 3 {
		r.await("the same again", holds())
	}
}

func TestExactlyOneRuntimeReportsASharedStore(t *testing.T) {
	root := t.TempDir()
	first := start(t, root, quick)
	first.Connected(true)
	first.await("an empty store", holds())
	second, third := start(t, root, quick), start(t, root, quick)
	second.Connected(true)
	third.Connected(true)
	add(t, second.store, "v1")
	first.await("a snapshot", holds("v1"))
	second.silent("another one reports")
	third.silent("another one reports")
	first.end()
	// Nothing but its death tells the others.
	select {
	case req := <-second.reports:
		second.reports <- req
		second.await("what there is", holds("v1"))
		third.silent("another one reports")
	case req := <-third.reports:
		third.reports <- req
		third.await("what there is", holds("v1"))
		second.silent("another one reports")
	case <-time.After(20 * time.Second):
		t.Fatal("no runtime took over")
	}
}

func TestGatewayWithoutStoreReportsIsAskedOncePerConnection(t *testing.T) {
	pace := quick
	pace.Look = time.Millisecond
	r := start(t, t.TempDir(), pace)
	r.answers(connect.NewError(connect.CodeUnimplemented, errors.New("no such method")))
	r.Connected(true)
	r.await("a try", holds())
	add(t, r.store, "v1")
	r.after(20)
	r.silent("the gateway is too old")
	r.answers(nil)
	r.Connected(false)
	r.Connected(true)
	r.await("what there is, to the newer one", holds("v1"))
}

func TestReportIsRetriedWhileTheGatewayIsUnavailable(t *testing.T) {
	r := start(t, t.TempDir(), quick)
	r.answers(connect.NewError(connect.CodeUnavailable, errors.New("later")))
	r.Connected(true)
	r.await("a try", holds())
	r.await("another try", holds())
	r.answers(nil)
	r.await("the last try", holds())
}

func TestRefusedReportIsNotRepeated(t *testing.T) {
	pace := quick
	pace.Look = time.Millisecond
	r := start(t, t.TempDir(), pace)
	r.answers(connect.NewError(connect.CodePermissionDenied, errors.New("not yours")))
	r.Connected(true)
	r.await("a try", holds())
	r.after(20)
	r.silent("it would be refused again")
	add(t, r.store, "v1")
	r.await("what is new", holds("v1"))
}

// The pod that brought the data to the node ends when it is done, and may be the
// only one there.
func TestLastChangeIsReportedBeforeTheRuntimeEnds(t *testing.T) {
	pace := quick
	pace.Settle = time.Hour
	r := start(t, t.TempDir(), pace)
	r.Connected(true)
	r.await("an empty store", holds())
	add(t, r.store, "v1")
	r.Connected(false) // the stream ends at the same time
	r.end()
	r.await("what it brought", holds("v1"))
	quiet := start(t, t.TempDir(), pace)
	quiet.Connected(true)
	quiet.await("an empty store", holds())
	quiet.end()
	quiet.silent("nothing has changed")
}

func TestReportsKeepTheMinimumInterval(t *testing.T) {
	pace := quick
	pace.Apart = 200 * time.Millisecond
	r := start(t, t.TempDir(), pace)
	r.Connected(true)
	r.await("an empty store", holds())
	started := time.Now()
	for n := range 20 {
		add(t, r.store, fmt.Sprintf("v%02d", n))
	}
	reports := 0
	r.await("all of it", func(req *gatewayv1alpha1.ReportStoreRequest) bool { reports++; return len(req.GetSnapshots()) == 20 })
	if most := int(time.Since(started)/pace.Apart) + 1; reports > most {
		t.Errorf("%d reports in %s", reports, time.Since(started))
	}
}
