// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// inherited is the directory of a namespace in which v0.1.0 made a store: testdata
// has what its "fetch --store" left, of a tree with two files and their SHA256SUMS.
type inherited struct {
	*sidecarProcess
	gateway *agenttest.Gateway
	server  *httptest.Server

	mu   sync.Mutex
	sent map[string]int
}

var modelFiles = map[string]string{"/model/a.txt": "first file of the model\n", "/model/sub/b.txt": "second file, in a directory\n"}

const namespaceUID = "11111111-1111-4111-8111-111111111111"

func newInherited(t *testing.T) *inherited {
	t.Helper()
	i := &inherited{gateway: agenttest.NewGateway(t), sent: map[string]int{}}
	i.sidecarProcess = newSidecar(t, i.gateway)
	i.server = httptest.NewServer(i)
	t.Cleanup(i.server.Close)
	mount := i.path("mount")
	if err := os.CopyFS(mount, os.DirFS("testdata/v0.1.0")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"locks", "marks", "trash", "pods/old"} {
		if err := os.MkdirAll(filepath.Join(mount, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	manifests, err := filepath.Glob(filepath.Join(mount, "snapshots/*/manifest.json"))
	if err != nil || len(manifests) != 1 {
		t.Fatal(manifests, err)
	}
	text, err := os.ReadFile(manifests[0])
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("http://127.0.0.1:18765"), []byte(i.server.URL))
	if err := os.WriteFile(manifests[0], text, 0o644); err != nil {
		t.Fatal(err)
	}
	i.store = "mount/" + namespaceUID
	return i
}

// ServeHTTP implements http.Handler.
func (i *inherited) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, ok := modelFiles[r.URL.Path]
	if r.URL.Path == "/model/SHA256SUMS" {
		for _, name := range []string{"a.txt", "sub/b.txt"} {
			content += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(modelFiles["/model/"+name])), name)
		}
		ok = true
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", r.URL.Path))
	http.ServeContent(&counting{w, func(n int) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.sent[r.URL.Path] += n
	}}, r, "", time.Time{}, strings.NewReader(content))
}

type counting struct {
	http.ResponseWriter
	add func(int)
}

func (c *counting) Write(p []byte) (int, error) {
	c.add(len(p))
	return c.ResponseWriter.Write(p)
}

func (i *inherited) deliver() {
	i.t.Helper()
	i.gateway.Want(&gatewayv1alpha1.Assignment{Data: "ds-pod", Dataset: "ds", Revision: "r1",
		Sources: []*gatewayv1alpha1.Source{{Name: "http",
			Config: &gatewayv1alpha1.Source_Http{Http: &gatewayv1alpha1.HTTPSource{Url: i.server.URL}}}},
		Items: []*gatewayv1alpha1.Item{{Namespace: "default", Name: "model", Version: "v1", RemotePath: "/model/",
			LocalPath: "model", Source: "http"}}})
	i.start()
	i.gateway.Success("ds-pod", "r1")
	for name, want := range modelFiles {
		got, err := os.ReadFile(i.path("mount", namespaceUID, "pods/uid/view", name))
		if err != nil || string(got) != want {
			i.t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// listing is the old store as its own runtimes see it.
func (i *inherited) listing() string {
	i.t.Helper()
	var b strings.Builder
	for _, dir := range []string{"snapshots", "pods", "marks", "trash"} {
		err := filepath.WalkDir(i.path("mount", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && !d.IsDir() {
				content, readErr := os.ReadFile(path)
				fmt.Fprintf(&b, "%s %v %v %x %v\n", path, info.Mode(), info.ModTime(), sha256.Sum256(content), readErr)
			}
			return err
		})
		if err != nil {
			i.t.Fatal(err)
		}
	}
	return b.String()
}

func TestWhatV010BroughtIsNotDownloadedAgain(t *testing.T) {
	i := newInherited(t)
	lock, err := os.Create(i.path("mount/pods/old/lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	before := i.listing()
	i.deliver()
	for name := range modelFiles {
		if i.sent[name] != 1 {
			t.Errorf("%d bytes of %s were sent, want one that proves that it may be read", i.sent[name], name)
		}
	}
	if after := i.listing(); after != before {
		t.Errorf("the store of the running pods was\n%s\nand is\n%s", before, after)
	}
}

func TestWhatWasForgedInTheStoreOfV010IsDownloaded(t *testing.T) {
	i := newInherited(t)
	found, err := filepath.Glob(i.path("mount/snapshots/*/data/a.txt"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if err := os.WriteFile(found[0], []byte(strings.Repeat("x", len(modelFiles["/model/a.txt"]))), 0o644); err != nil {
		t.Fatal(err)
	}
	i.deliver()
	if got, want := i.sent["/model/a.txt"], len(modelFiles["/model/a.txt"])+1; got != want {
		t.Errorf("%d bytes were sent, want %d", got, want)
	}
}
