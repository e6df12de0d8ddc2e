// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// sighting is a moment at which a sampled file was found to have changed.
type sighting struct {
	Time time.Time `json:"time"`
	// Version is the first line of the file; empty when there is no file.
	Version string `json:"version"`
}

// samples is what a sampler has seen.
type samples struct {
	Count int `json:"count"`
	// Longest is the longest time between two looks, in milliseconds: how much
	// of what happened may have been missed.
	Longest int64                 `json:"longestMs"`
	Files   map[string][]sighting `json:"files"`
}

type sampler struct {
	files []string
	// spoiled is the version under which the application stops being ready,
	// after a while; "" for none.
	spoiled string
	after   time.Duration

	// last is each file as it was at the last look.
	last map[string]fs.FileInfo

	mu   sync.Mutex
	seen samples
}

// sample reads the first line of each file again and again, says over HTTP when
// it changed, and whether the application is ready.
func sample(args []string) error {
	flags := flag.NewFlagSet("sample", flag.ContinueOnError)
	every := flags.Duration("every", 20*time.Millisecond, "time from one look to the next")
	spoiled := flags.String("unready-on", "", "version of the first file that makes the application unready")
	after := flags.Duration("unready-after", 5*time.Second, "how long after that version was seen")
	listen := flags.String("listen", ":8080", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := &sampler{files: flags.Args(), spoiled: *spoiled, after: *after, last: map[string]fs.FileInfo{},
		seen: samples{Files: map[string][]sighting{}}}
	// The first look comes before the first answer, so that whoever asks a pod
	// that has just started is told a version.
	s.lookAtAll(time.Now())
	go s.run(*every)
	http.HandleFunc("GET /samples", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.seen)
	})
	http.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready(time.Now()) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return http.ListenAndServe(*listen, nil)
}

func (s *sampler) run(every time.Duration) {
	last := time.Now()
	for range time.Tick(every) {
		now := time.Now()
		s.mu.Lock()
		s.seen.Longest = max(s.seen.Longest, now.Sub(last).Milliseconds())
		s.mu.Unlock()
		s.lookAtAll(now)
		last = now
	}
}

func (s *sampler) lookAtAll(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Count++
	for _, file := range s.files {
		s.look(file, now)
	}
}

// look is called with the lock held. A file that is the same as before is not
// read: a hundred pods share the machine's processors.
func (s *sampler) look(file string, now time.Time) {
	info, err := os.Stat(file)
	before := s.last[file]
	if err == nil && before != nil && os.SameFile(info, before) && info.ModTime().Equal(before.ModTime()) && info.Size() == before.Size() {
		return
	}
	s.last[file] = info
	version := firstLine(file)
	seen := s.seen.Files[file]
	if len(seen) == 0 || seen[len(seen)-1].Version != version {
		s.seen.Files[file] = append(seen, sighting{Time: now, Version: version})
	}
}

func (s *sampler) ready(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spoiled == "" || len(s.files) == 0 {
		return true
	}
	seen := s.seen.Files[s.files[0]]
	if len(seen) == 0 {
		return true
	}
	last := seen[len(seen)-1]
	return last.Version != s.spoiled || now.Sub(last.Time) < s.after
}

// firstLine reads a file's version: that a file is whole is what its promised
// end says, "<version>\n...\n<version>\n".
func firstLine(file string) string {
	content, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return "error: " + err.Error()
	}
	text := string(content)
	version, _, ok := strings.Cut(text, "\n")
	if !ok || !strings.HasSuffix(text, version+"\n") {
		return "partial"
	}
	return version
}
