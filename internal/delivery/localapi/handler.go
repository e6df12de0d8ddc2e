// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package localapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kuda-io/kuda/internal/delivery/agent"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// heartbeat is how often a watch repeats the state when nothing changes, so
// that both ends notice when the other is gone.
const heartbeat = 30 * time.Second

// settle is how long a watch waits after a change for more of them, so that a
// download does not flood it.
const settle = 100 * time.Millisecond

// Delivery is what the answers are taken from; agent.Agent is one.
type Delivery interface {
	Ready() (ready bool, missing []string)
	State() agent.State
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// NewHandler returns the local API.
func NewHandler(d Delivery, g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+sidecar.PathHealthz, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET "+sidecar.PathReadyz, func(w http.ResponseWriter, _ *http.Request) {
		ready, missing := d.Ready()
		if !ready {
			http.Error(w, "waits for the data of: "+strings.Join(missing, ", "), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET "+sidecar.PathMetrics, promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET "+sidecar.PathData, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch r.URL.Query().Get("watch") {
		case "", "0", "false":
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(d.State())
		default:
			watch(w, r, d)
		}
	})
	return mux
}

// watch writes the state, one JSON object a line, at once, after each change
// and as a heartbeat, until the caller leaves.
func watch(w http.ResponseWriter, r *http.Request, d Delivery) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w)
	encoder := json.NewEncoder(w)
	for {
		changed := d.Changed()
		if err := encoder.Encode(d.State()); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		beat := time.NewTimer(heartbeat)
		select {
		case <-r.Context().Done():
			beat.Stop()
			return
		case <-changed:
			beat.Reset(settle)
			select {
			case <-r.Context().Done():
			case <-beat.C:
			}
		case <-beat.C:
		}
		beat.Stop()
	}
}
