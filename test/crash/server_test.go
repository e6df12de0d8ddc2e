//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// data is what the server has: at each version one large file, and a tree of
// which a fifth changes from version to version.
type data struct {
	large int64
	files int
}

// largeFile is the large file at a version.
func (d data) largeFile(version int) content {
	return content{seed: mix(uint64(version)), size: d.large}
}

// maxTreeFile is how long a file of the tree may be, in bytes.
const maxTreeFile = 24 << 10

// treeFile is a file of the tree at a version.
func (d data) treeFile(version, i int) content {
	const every = 5
	changed := version - (version+i)%every // the version of the last change
	seed := mix(uint64(i)<<32 ^ uint64(max(changed, 0)) ^ 1<<63)
	return content{seed: seed, size: int64(seed % maxTreeFile)}
}

func treeName(i int) string { return fmt.Sprintf("d%02d/f%05d", i%50, i) }

// server serves v<n>/large and v<n>/tree/, with entity tags and ranges, and both
// below now/ at a version that changes.
type server struct {
	data
	url string
	// fault is asked first; true means that it has answered.
	fault atomic.Pointer[func(w http.ResponseWriter, r *http.Request, c content) bool]

	// now is the version of what is below /now/.
	now atomic.Int64

	mu      sync.Mutex
	indexes map[int][]byte
	numbers map[string]int
}

func newServer(t testing.TB, d data) *server {
	s := &server{data: d, indexes: map[int][]byte{}, numbers: map[string]int{}}
	for i := range d.files {
		s.numbers[treeName(i)] = i
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

// misbehave sets a fault, nil for none.
func (s *server) misbehave(fault func(w http.ResponseWriter, r *http.Request, c content) bool) {
	if fault == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&fault)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	version, err := strconv.Atoi(strings.TrimPrefix(first, "v"))
	if first == "now" {
		version, err = int(s.now.Load()), nil
	}
	if err != nil {
		http.NotFound(w, r)
		return
	}
	var c content
	name, inTree := strings.CutPrefix(rest, "tree/")
	switch i, known := s.numbers[name]; {
	case rest == "large":
		c = s.largeFile(version)
	case inTree && name == "SHA256SUMS":
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.index(version)))
		return
	case inTree && known:
		c = s.treeFile(version, i)
	default:
		http.NotFound(w, r)
		return
	}
	if fault := s.fault.Load(); fault != nil && (*fault)(w, r, c) {
		return
	}
	serve(w, r, c)
}

// serve replies as a good server does.
func serve(w http.ResponseWriter, r *http.Request, c content) {
	w.Header().Set("ETag", c.tag())
	http.ServeContent(w, r, "", time.Time{}, c.reader())
}

// index is what sha256sum prints of the tree.
func (s *server) index(version int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := s.indexes[version]; text != nil {
		return text
	}
	var b bytes.Buffer
	for i := range s.files {
		h := sha256.New()
		_, _ = io.Copy(h, s.treeFile(version, i).reader())
		fmt.Fprintf(&b, "%x  %s\n", h.Sum(nil), treeName(i))
	}
	s.indexes[version] = b.Bytes()
	return b.Bytes()
}
