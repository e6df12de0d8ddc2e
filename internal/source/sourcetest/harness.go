// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

// Harness is a real storage system with a driver for it. What is optional says
// so; a test that needs a missing part is not run.
//
// Paths in it have the form "tree/dir/file": each test keeps its files below a
// first segment of its own, and lists it, a directory in it or a file in it.
type Harness struct {
	// Addr is the server's host:port; "" where there is no network to disturb.
	Addr string
	// Open opens a source that reaches the server through addr, which is Addr or
	// a proxy in front of it. The source is closed by the harness, at the end of t.
	Open func(t *testing.T, addr string) source.Source
	// Put stores a file in place of what was there.
	Put func(t *testing.T, path string, content []byte)

	// Path is what List is given for a path of the suite, in which a "/" at the
	// end asks for a tree. Optional: the path itself.
	Path func(path string) string
	// PutAll stores ten thousand files faster than Put does it one by one. Optional.
	PutAll func(t *testing.T, files map[string][]byte)
	// Refuses tells names that the server does not store. Optional: it stores all.
	Refuses func(path string) bool
	// FailsBelowFiles tells that the server fails when it is asked for what would be
	// below a file, so that a driver cannot know that there is nothing. Optional: it
	// says that there is nothing.
	FailsBelowFiles bool
	// PutHostile stores a file, or an entry of that name, that no caller can use,
	// and reports whether the server took it. Optional.
	PutHostile func(t *testing.T, path string, content []byte) bool
	// Clean returns the name under which an entry of a hostile name is listed, in
	// formats whose names stand for paths, as those of archives do ("/a", "./a" and
	// "a" are one file). Optional: names are passed on as they are.
	Clean func(name string) string
	// Delete removes a file. Optional.
	Delete func(t *testing.T, path string)
	// Mkdir makes an empty directory. Optional: the system has none.
	Mkdir func(t *testing.T, path string)
	// PutLink stores a symbolic link. Optional: the system has none.
	PutLink func(t *testing.T, path, target string)

	// OpenDenied opens a source whose credentials are wrong. Optional: the system
	// has no credentials.
	OpenDenied func(t *testing.T) source.Source
	// PutUnreadable stores a file that Open's sources may list and not read.
	// Optional: the system has no permissions of single files.
	PutUnreadable func(t *testing.T, path string, content []byte)

	// Boundaries are offsets at which the driver or the server goes over to
	// another block, part or buffer. Optional: 4 KiB to 1 MiB are always tried.
	Boundaries []int64

	// HTTP tells that the driver reaches Addr by plain HTTP, so that a proxy can
	// put other answers in place of the server's.
	HTTP bool
	// Others are further addresses (host:port) that the server sends clients to,
	// such as those of the nodes that have the data. Optional.
	Others []string
	// OpenVia is Open for a system with Others: it opens a source that reaches
	// Addr and Others through the addresses that via has for them.
	OpenVia func(t *testing.T, via map[string]string) source.Source
}

// Run checks that a driver keeps the contract of source.Source.
func Run(t *testing.T, h Harness) {
	listingTests{h}.runListing(t)
	readingTests{h}.runReading(t)
	changeTests{h}.runChange(t)
	accessTests{h}.runAccess(t)
	if h.Addr != "" {
		networkTests{h}.runNetwork(t)
	}
	if h.HTTP {
		httpTests{h}.runHTTP(t)
	}
}

// openDirect opens a source without any proxy.
func (h Harness) openDirect(t *testing.T) source.Source {
	t.Helper()
	if h.OpenVia != nil {
		via := map[string]string{h.Addr: h.Addr}
		for _, other := range h.Others {
			via[other] = other
		}
		return h.OpenVia(t, via)
	}
	return h.Open(t, h.Addr)
}

// openCut opens a source with a Cutter in front of every address.
func (h Harness) openCut(t *testing.T) (source.Source, *Cutter) {
	t.Helper()
	cutter := NewCutter(t, h.Addr)
	if h.OpenVia == nil {
		return h.Open(t, cutter.Addr), cutter
	}
	via := map[string]string{h.Addr: cutter.Addr}
	for _, other := range h.Others {
		via[other] = cutter.Front(t, other)
	}
	return h.OpenVia(t, via), cutter
}

// remotePath is what List is given.
func (h Harness) remotePath(path string) string {
	if h.Path != nil {
		return h.Path(path)
	}
	return path
}

func (h Harness) putAll(t *testing.T, files map[string][]byte) {
	t.Helper()
	if h.PutAll != nil {
		h.PutAll(t, files)
		return
	}
	for path, content := range files {
		h.Put(t, path, content)
	}
}

func (h Harness) refusesPath(path string) bool { return h.Refuses != nil && h.Refuses(path) }
