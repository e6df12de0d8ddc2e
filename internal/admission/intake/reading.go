// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// reading is the time in which a request's body is to come. Others may end it.
type reading struct {
	mu         sync.Mutex
	controller *http.ResponseController
	cancel     context.CancelFunc
	ended      bool
}

func newReading(w http.ResponseWriter, cancel context.CancelFunc) *reading {
	r := &reading{controller: http.NewResponseController(w), cancel: cancel}
	r.within(readTimeout)
	return r
}

// within sets the time. A server that cannot set it has one of its own.
func (r *reading) within(d time.Duration) { _ = r.controller.SetReadDeadline(time.Now().Add(d)) }

// arrived says that the body is there. Its deadline must not end what follows.
func (r *reading) arrived() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.controller.SetReadDeadline(time.Time{})
}

// abort ends the request, whether it is being read or waits for its turn.
func (r *reading) abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.within(0)
		r.cancel()
	}
}

// end says that the request is answered: its connection may serve another.
func (r *reading) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}
