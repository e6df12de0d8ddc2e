// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package localapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// heartbeat is how often a watch repeats the state when nothing changes, so
// that both ends notice when the other is gone.
const heartbeat = 30 * time.Second

// settle is how long a watch waits after a change for more of them, so that a
// download does not flood it.
const settle = 100 * time.Millisecond

// maxWatchers is many times what the containers of one pod need.
const maxWatchers = 64

// watchers serve watches, of which a bounded number is open.
type watchers struct {
	delivery Delivery
	places   chan struct{}
}

func newWatchers(d Delivery) *watchers {
	return &watchers{delivery: d, places: make(chan struct{}, maxWatchers)}
}

// serveWatch writes the state, one JSON object a line, at once, after each change
// and as a heartbeat, until the caller leaves.
func (s *watchers) serveWatch(w http.ResponseWriter, r *http.Request) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, fmt.Sprintf("%d watches of this pod are open, the most there may be; end those that are not read", maxWatchers),
			http.StatusTooManyRequests)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	controller := http.NewResponseController(w)
	// The server's time for a request does not bound a watch, but each write of it.
	if err := controller.SetReadDeadline(time.Time{}); err != nil {
		http.Error(w, "this connection cannot be watched on", http.StatusInternalServerError)
		return
	}
	encoder := json.NewEncoder(w)
	for {
		changed := s.delivery.Changed()
		if err := controller.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return
		}
		if err := encoder.Encode(s.delivery.State()); err != nil {
			return
		}
		if err := controller.Flush(); err != nil {
			return
		}
		if !waitForChange(r.Context().Done(), changed) {
			return
		}
	}
}

// waitForChange returns when the next line is due, and reports whether the caller is still there.
func waitForChange(gone, changed <-chan struct{}) bool {
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	select {
	case <-gone:
		return false
	case <-beat.C:
		return true
	case <-changed:
	}
	beat.Reset(settle)
	select {
	case <-gone:
		return false
	case <-beat.C:
		return true
	}
}
