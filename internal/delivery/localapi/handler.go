// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package localapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/exposition"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// Delivery is what the responses are made from; agent.Agent is one.
type Delivery interface {
	Ready() (ready bool, missing []string)
	State() status.State
	// Changed returns a channel that is closed at the next change.
	Changed() <-chan struct{}
}

// newProbeMux returns the handlers that the pod's own address serves, too.
func newProbeMux(d Delivery, g prometheus.Gatherer) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+sidecar.PathHealthz, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET "+sidecar.PathReadyz, func(w http.ResponseWriter, _ *http.Request) {
		ready, missing := d.Ready()
		if !ready {
			text := "waits for the data of: " + strings.Join(missing, ", ")
			if why := d.State().Message; why != "" {
				text += "; " + why
			}
			http.Error(w, text, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET "+sidecar.PathMetrics, exposition.NewHandler(g))
	return mux
}

// newPodHandler is for callers on localhost.
func newPodHandler(d Delivery, g prometheus.Gatherer) http.Handler {
	mux := newProbeMux(d, g)
	watchers := newWatchers(d)
	mux.HandleFunc("GET "+sidecar.PathData, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		switch r.URL.Query().Get("watch") {
		case "", "0", "false":
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(d.State())
		default:
			watchers.serveWatch(w, r)
		}
	})
	return withoutBody(mux)
}

// newStrangerHandler is for callers on the pod's address.
func newStrangerHandler(d Delivery, g prometheus.Gatherer) http.Handler {
	mux := newProbeMux(d, g)
	mux.HandleFunc("GET "+sidecar.PathData, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, sidecar.PathData+" is for the containers of this pod; ask for it on localhost, from inside the pod", http.StatusForbidden)
	})
	return withoutBody(mux)
}

// withoutBody refuses requests with a body before anything of it is read: a body
// does not have a meaning here.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close")
			http.Error(w, "requests to the local API have no body", http.StatusRequestEntityTooLarge)
			return
		}
		// Who has asked a whole question is not closed in favour of who has not.
		connlimit.MarkKnown(r.Context())
		next.ServeHTTP(w, r)
	})
}
