// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	dir, isIndex := strings.CutSuffix(path, "SHA256SUMS")
	if isIndex {
		s.serveIndex(w, dir)
		return
	}
	f, faults, ok := s.findFile(path)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	s.sendFile(w, r, f, faults)
}

func (s *Server) serveIndex(w http.ResponseWriter, dir string) {
	instead, replaced := s.countListing()
	if replaced {
		_, _ = w.Write(instead)
		return
	}
	s.mu.Lock()
	faults := s.faults
	s.mu.Unlock()
	var index strings.Builder
	for _, path := range s.pathsBelow(dir) {
		f, _, _ := s.findFile(path)
		line := fmt.Sprintf("%x  %s\n", sha256.Sum256(f.content), strings.TrimPrefix(path, dir))
		index.WriteString(line)
		if faults.Twice {
			index.WriteString(line)
		}
		if faults.Contradict {
			fmt.Fprintf(&index, "%x  %s\n", sha256.Sum256([]byte("another")), strings.TrimPrefix(path, dir))
		}
	}
	_, _ = w.Write([]byte(index.String()))
}
