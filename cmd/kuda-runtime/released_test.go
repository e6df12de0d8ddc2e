// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/inspection"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// newReleased is the sidecar of a pod whose directory, and whose namespace's store,
// v0.1.0 has left; testdata/README.md says what is in it. Its source is gone.
func newReleased(t *testing.T, g *agenttest.Gateway, pod string) *sidecarProcess {
	t.Helper()
	s := newSidecar(t, g)
	s.env = append(s.env, sidecar.EnvPodUID+"="+pod)
	if err := unpack(s.path("store")); err != nil {
		t.Fatal(err)
	}
	return s
}

// unpack restores the fixture with its modes, times and hard links.
func unpack(root string) error {
	f, err := os.Open("testdata/v0.1.0-pods.tar.gz")
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.Mkdir(name, h.FileInfo().Mode())
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, name)
		case tar.TypeLink:
			err = os.Link(filepath.Join(root, h.Linkname), name)
		default:
			var content []byte
			if content, err = io.ReadAll(in); err == nil {
				err = errors.Join(os.WriteFile(name, content, h.FileInfo().Mode()), os.Chtimes(name, h.ModTime, h.ModTime))
			}
		}
		if err != nil {
			return err
		}
	}
}

// remembered is what v0.1.0 wrote down that the pod is to have.
func (s *sidecarProcess) remembered(pod string) *gatewayv1alpha1.Assignment {
	s.t.Helper()
	m := &gatewayv1alpha1.WatchResponse{}
	text, err := os.ReadFile(s.path("store/pods", pod, "desired.json"))
	if err == nil {
		err = protojson.Unmarshal(text, m)
	}
	if err != nil || len(m.GetAssignments()) != 1 {
		s.t.Fatalf("%v: %s", err, text)
	}
	return m.GetAssignments()[0]
}

func (s *sidecarProcess) wantConf(pod, want string) {
	s.t.Helper()
	got, err := os.ReadFile(s.path("store/pods", pod, "view/conf"))
	if err != nil || string(got) != want {
		s.t.Errorf("the view of %s has %q, %v; want %q", pod, got, err, want)
	}
}

func TestAPodOfV010IsReadyWithoutGatewayAndSource(t *testing.T) {
	g := agenttest.NewGateway(t)
	s := newReleased(t, g, "uid")
	g.Down()
	s.start()
	for {
		if code, body := s.get(sidecar.PathReadyz); code == http.StatusOK {
			break
		} else if t.Context().Err() != nil {
			t.Fatalf("%d %s", code, body)
		}
	}
	s.wantConf("uid", "configuration of r1\n")
	s.kill(syscall.SIGTERM)
	if text := s.log.String(); strings.Contains(text, "view switched") {
		t.Errorf("the view of v0.1.0 is not the one that is used:\n%s", text)
	}
}

func TestThePrefetchOfV010IsSwitchedToWithoutDownload(t *testing.T) {
	g := agenttest.NewGateway(t)
	s := newReleased(t, g, "uid")
	a := s.remembered("uid")
	g.Want(a)
	s.start()
	g.Success("ds-pod", "r1")
	g.Await("the prefetch of r2", func(r *gatewayv1alpha1.ReportRequest) bool {
		return r.GetPrefetch().GetRevision() == "r2" && r.GetPrefetch().GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS
	})
	if calls := g.HookCalls(); len(calls) != 0 {
		t.Errorf("hooks that v0.1.0 recorded as done are run again: %v", calls)
	}
	var sets []inspection.DataSet
	s.inspect("", &sets, "data", "-o", "json")
	if len(sets) != 1 || sets[0].Revision != "r1" || len(sets[0].Items) != 2 || len(sets[0].Items[1].Files) != 2 {
		t.Errorf("inspect: %+v", sets)
	}
	next := a.GetPrefetch()
	g.Want(&gatewayv1alpha1.Assignment{Data: a.GetData(), Dataset: a.GetDataset(), Lifecycle: a.GetLifecycle(),
		Revision: next.GetRevision(), Items: next.GetItems(), Sources: next.GetSources()})
	g.Success("ds-pod", "r2")
	s.wantConf("uid", "configuration of r2\n")
}

func TestARevisionThatFailedUnderV010IsNotTriedAgain(t *testing.T) {
	g := agenttest.NewGateway(t)
	s := newReleased(t, g, "failing")
	g.Want(s.remembered("failing"))
	s.start()
	r := g.Failure("conf", "HookFailed")
	if message := r.GetItems()[0].GetMessage(); !strings.Contains(message, "its output ends: the model is broken") {
		t.Errorf("the message of v0.1.0 is lost: %q", message)
	}
	s.wantConf("failing", "configuration of r1\n")
	if calls := g.HookCalls(); slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "r2") }) {
		t.Errorf("hooks: %v", calls)
	}
}

// Marks are in the store's names: with others, all that is there is unknown.
func TestTheMarksOfV010AreThoseOfToday(t *testing.T) {
	s := newReleased(t, agenttest.NewGateway(t), "uid")
	marks := map[string]bool{}
	for _, pod := range []string{"uid", "preheating", "failing"} {
		a := s.remembered(pod)
		for _, i := range slices.Concat(a.GetItems(), a.GetPrefetch().GetItems()) {
			marks[item.Mark(i, a.GetSources()[0])] = true
		}
	}
	files, err := os.ReadDir(s.path("store/marks"))
	if err != nil || len(files) != len(marks) || len(marks) != 4 {
		t.Fatalf("%d files for %d marks, %v", len(files), len(marks), err)
	}
	for _, f := range files {
		if _, mark, _ := strings.Cut(f.Name(), "."); !marks[mark] {
			t.Errorf("%s is the mark of no item", f.Name())
		}
	}
}

func TestWhatV010PreheatedOutlivesTheUnused(t *testing.T) {
	s := newReleased(t, agenttest.NewGateway(t), "uid")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(os.Args[0], append([]string{"store"}, append(args, "--store", s.path("store"))...)...)
		cmd.Env = s.env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("store %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := run("verify"); strings.Contains(out, "damaged") {
		t.Errorf("verify:\n%s", out)
	}
	// kept are the sources' paths of the snapshots that nothing can go without.
	kept := func() (paths []string) {
		t.Helper()
		run("prune", "--all-unused")
		var all []struct{ Path string }
		if err := json.Unmarshal([]byte(run("list", "-o", "json")), &all); err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			paths = append(paths, e.Path)
		}
		slices.Sort(paths)
		return paths
	}
	lock, err := os.Open(s.path("store/pods/uid/lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	// As the sidecar of v0.1.0 holds it while the pod runs.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/model/", "/preheated", "/r1/conf", "/r2/conf"}, kept()); diff != "" {
		t.Errorf("beside a running pod (-want +got):\n%s", diff)
	}
	for _, pod := range []string{"uid", "failing"} {
		if err := os.RemoveAll(s.path("store/pods", pod)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"/preheated"}, kept()); diff != "" {
		t.Errorf("with the pods gone (-want +got):\n%s", diff)
	}
}
