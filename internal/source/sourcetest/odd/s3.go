// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package odd

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type listResult struct {
	XMLName     xml.Name `xml:"ListBucketResult"`
	Name        string
	Prefix      string
	IsTruncated bool
	Token       string `xml:"NextContinuationToken,omitempty"`
	Contents    []listed
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
}

func (s *Server) serveS3(w http.ResponseWriter, r *http.Request) {
	key, inBucket := strings.CutPrefix(r.URL.Path, "/"+Bucket+"/")
	switch {
	case !inBucket:
		w.WriteHeader(http.StatusNotFound)
	case r.URL.Query().Has("list-type"):
		s.serveListing(w, r)
	default:
		f, faults, ok := s.findFile(key)
		if !ok {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusNotFound)
			if r.Method != http.MethodHead {
				_, _ = w.Write([]byte("<Error><Code>NoSuchKey</Code></Error>"))
			}
			return
		}
		s.sendFile(w, r, f, faults)
	}
}

func (s *Server) serveListing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	if instead, replaced := s.countListing(); replaced {
		_, _ = w.Write(instead)
		return
	}
	query := r.URL.Query()
	s.mu.Lock()
	faults := s.faults
	s.mu.Unlock()
	prefix := query.Get("prefix")
	if faults.IgnorePrefix {
		prefix = ""
	}
	at, _ := strconv.Atoi(query.Get("continuation-token"))
	if faults.IgnoreTokens {
		at = 0
	}
	result := s.listPage(prefix, query.Get("start-after"), at, faults)
	if at < faults.EmptyPages {
		time.Sleep(faults.PageTime) // the fault: a slow page
	}
	body, err := xml.Marshal(result)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(append([]byte(xml.Header), body...))
}

// listPage makes a page: the first ones are empty, then come the files.
func (s *Server) listPage(prefix, after string, at int, faults Faults) listResult {
	result := listResult{Name: Bucket, Prefix: prefix}
	next := func() {
		result.IsTruncated, result.Token = true, strconv.Itoa(at+1)
		if faults.SameToken {
			result.Token = "same"
		}
	}
	if at < faults.EmptyPages || faults.SameToken {
		next()
		return result
	}
	size := faults.PageSize
	if size == 0 {
		size = 1000
	}
	var paths []string
	for _, path := range s.pathsBelow(prefix) {
		if path > after {
			paths = append(paths, path)
		}
	}
	begin := min((at-faults.EmptyPages)*size, len(paths))
	end := min(begin+size, len(paths))
	for _, path := range paths[begin:end] {
		f, _, _ := s.findFile(path)
		entry := listed{Key: path, LastModified: f.modified.Format("2006-01-02T15:04:05.000Z"), ETag: strconv.Quote(f.tag), Size: len(f.content)}
		result.Contents = append(result.Contents, entry)
		if faults.Twice || faults.Contradict {
			if faults.Contradict {
				entry.Size++
			}
			result.Contents = append(result.Contents, entry)
		}
	}
	if end < len(paths) {
		next()
	}
	return result
}
