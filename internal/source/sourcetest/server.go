// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is an HTTP server of files in memory, with entity tags and ranges, and
// with an index SHA256SUMS in each directory. Misbehave changes its manners.
type Server struct {
	URL string

	mu      sync.Mutex
	files   map[string][]byte
	hook    func(w http.ResponseWriter, r *http.Request) bool
	manners Manners
	bodies  map[string]int
	bytes   int64
}

// Manners are the ways in which a Server differs from a good one.
type Manners struct {
	// NoTags leaves out the entity tags, NoRanges ignores ranges.
	NoTags, NoRanges bool
	// IgnoreConditions returns whatever If-Match says.
	IgnoreConditions bool
}

// NewServer starts a server that ends with the test.
func NewServer(t testing.TB) *Server {
	s := &Server{files: map[string][]byte{}, bodies: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Put stores a file under a path without a leading slash.
func (s *Server) Put(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
}

// Delete removes a file.
func (s *Server) Delete(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, path)
}

// Misbehave sets the server's manners, and a hook that is asked first; when the
// hook returns true it has answered.
func (s *Server) Misbehave(m Manners, hook func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manners, s.hook = m, hook
}

// Bodies is how often the body of a file, or a range of it, was asked for.
func (s *Server) Bodies(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[path]
}

// Sent is how many bytes of bodies were asked for, without indexes.
func (s *Server) Sent() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	content, ok := s.files[path]
	hook, manners := s.hook, s.manners
	s.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	dir, isIndex := strings.CutSuffix(path, "SHA256SUMS")
	if isIndex && !ok {
		content = s.buildIndex(dir)
		ok = len(content) > 0
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	if manners.NoRanges {
		r.Header.Del("Range")
	}
	if manners.IgnoreConditions {
		r.Header.Del("If-Match")
	}
	if !manners.NoTags {
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
	}
	out := &counter{ResponseWriter: w}
	if manners.NoRanges {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method != http.MethodHead {
			_, _ = out.Write(content)
		}
	} else {
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(content))
	}
	if !isIndex && r.Method == http.MethodGet {
		s.mu.Lock()
		s.bodies[path]++
		s.bytes += out.n
		s.mu.Unlock()
	}
}

// buildIndex is what sha256sum prints of the files below dir.
func (s *Server) buildIndex(dir string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		if name, ok := strings.CutPrefix(path, dir); ok {
			mark, name := escapeName(name)
			fmt.Fprintf(&b, "%s%x  %s\n", mark, sha256.Sum256(s.files[path]), name)
		}
	}
	return b.Bytes()
}

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)

// escapeName writes a name as sha256sum does; mark begins the line.
func escapeName(name string) (mark, escaped string) {
	if escaped = escapes.Replace(name); escaped != name {
		return `\`, escaped
	}
	return "", name
}

type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}
