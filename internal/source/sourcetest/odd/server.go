// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"bytes"
	"crypto/md5" // what S3 makes entity tags of
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// Faults are the ways in which a server differs from a good one.
type Faults struct {
	// NoLength leaves the length out of answers to HEAD, of a namenode's status of
	// a file and of a layer's descriptor; ZeroLength says 0.
	NoLength, ZeroLength bool
	// IgnoreRanges sends all of a file for a range, and still says that it
	// understands ranges.
	IgnoreRanges bool
	// TagPerNode gives each answer the entity tag of another node.
	TagPerNode bool
	// KeepTags leaves a file its entity tag, inode and digest when it is overwritten.
	KeepTags bool
	// CutAfter ends every body, or block, once so many bytes of them were sent in all;
	// 0 does not.
	CutAfter int
	// Listing replaces the answer to the request for a page of a listing, counted
	// from 1, for an index or a manifest; nil leaves it as it is.
	Listing func(page int) []byte
	// PageSize is how many files a page has at most; 0 means 1000.
	PageSize int
	// EmptyPages come before the first file, each after PageTime.
	EmptyPages int
	PageTime   time.Duration
	// SameToken gives every page the same token, for ever.
	SameToken bool
	// IgnoreTokens sends the first page whatever was asked for.
	IgnoreTokens bool
	// IgnorePrefix lists everything whatever was asked for.
	IgnorePrefix bool
	// Twice lists each file twice; Contradict with another size.
	Twice, Contradict bool
	// Ghost makes a namenode list a file of no bytes that is not there any more.
	Ghost bool
	// Redirect sends requests for bodies there, "" nowhere.
	Redirect string
}

// Server is a server of files in memory.
type Server struct {
	// URL is where it is, in the form that its driver takes: host:port for HDFS.
	URL string

	// datanode is the address that a namenode sends readers to.
	datanode string
	// digests tells that files are asked for by them.
	digests bool

	mu       sync.Mutex
	faults   Faults
	files    map[string]file
	pages    int
	requests []*http.Request
	// sent counts bytes of files, and failing is what it was when the faults came.
	sent, failing int
	writings      int
}

type file struct {
	content  []byte
	tag      string
	modified time.Time
	// inode and block number the file for HDFS, digest is the name of its bytes in
	// a registry. What keeps its tag keeps inode and digest.
	inode, block uint64
	digest       digest.Digest
}

// Bucket is the name of the bucket of an S3 server.
const Bucket = "bucket"

// NewS3 starts a server of S3 with one bucket, which ends with the test.
func NewS3(t testing.TB) *Server { return startServer(t, (*Server).serveS3) }

// NewHTTP starts a server of HTTP with an index SHA256SUMS in each directory,
// which ends with the test.
func NewHTTP(t testing.TB) *Server { return startServer(t, (*Server).serveHTTP) }

// NewOCI starts a registry of OCI whose only manifest, Artifact, has each file as
// a layer; it ends with the test.
func NewOCI(t testing.TB) *Server {
	s := startServer(t, (*Server).serveOCI)
	s.digests = true
	return s
}

func startServer(t testing.TB, serve func(*Server, http.ResponseWriter, *http.Request)) *Server {
	t.Helper()
	s := &Server{files: map[string]file{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		serve(s, w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Front puts something in front of each address of the server: front gets
// host:port and returns the one to use instead. It returns the server's URL then.
func (s *Server) Front(front func(address string) string) string {
	if s.datanode != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.datanode = front(s.datanode)
		return front(s.URL)
	}
	return "http://" + front(strings.TrimPrefix(s.URL, "http://"))
}

// Fail gives the server its faults from now on.
func (s *Server) Fail(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.pages, s.failing = f, 0, s.sent
}

// Put stores a file under a path without a leading slash. Each is written a
// minute after the one before.
func (s *Server) Put(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writings++
	f := file{
		content:  bytes.Clone(content),
		tag:      fmt.Sprintf("%x", md5.Sum(content)), // see above
		modified: time.Date(2026, 1, 1, 0, s.writings, 0, 0, time.UTC),
		inode:    firstInode + uint64(s.writings), block: uint64(s.writings),
	}
	if s.digests {
		f.digest = digest.FromBytes(content)
	}
	if old, ok := s.files[path]; ok && s.faults.KeepTags {
		f.tag, f.inode, f.digest = old.tag, old.inode, old.digest
	}
	s.files[path] = f
}

// Requests are those that came so far.
func (s *Server) Requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Sent is how many bytes of files were sent so far.
func (s *Server) Sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

func (s *Server) findFile(path string) (file, Faults, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[path]
	return f, s.faults, ok
}

// sendFile returns a request for a file.
func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, f file, faults Faults) {
	if faults.TagPerNode {
		s.mu.Lock()
		f.tag = fmt.Sprintf("%s-node%d", f.tag, len(s.requests)%7)
		s.mu.Unlock()
	}
	w.Header().Set("ETag", strconv.Quote(f.tag))
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Last-Modified", f.modified.Format(http.TimeFormat))
	content, status := f.content, http.StatusOK
	if match := r.Header.Get("If-Match"); match != "" && strings.Trim(match, "\"") != f.tag {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	if r.Method == http.MethodHead {
		switch {
		case faults.ZeroLength:
			w.Header().Set("Content-Length", "0")
		case faults.NoLength:
			w.Header().Set("Transfer-Encoding", "chunked")
		default:
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	if faults.Redirect != "" {
		w.Header().Set("Location", faults.Redirect)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	var first, last int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err == nil && !faults.IgnoreRanges {
		if first >= len(content) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		last = min(last, len(content)-1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(content)))
		content, status = content[first:last+1], http.StatusPartialContent
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	_, _ = w.Write(content[:s.take(len(content))]) // the client may have gone
}

// take returns how many of the next bytes of a body are sent.
func (s *Server) take(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := s.faults.CutAfter; most > 0 {
		n = min(n, max(most-(s.sent-s.failing), 0))
	}
	s.sent += n
	return n
}

// pathsBelow returns the sorted paths of the files below a prefix.
func (s *Server) pathsBelow(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for path := range s.files {
		if strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// countListing counts a request for a listing, and returns what replaces its answer.
func (s *Server) countListing() (instead []byte, replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	if s.faults.Listing == nil {
		return nil, false
	}
	instead = s.faults.Listing(s.pages)
	return instead, instead != nil
}
