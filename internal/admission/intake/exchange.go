// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// exchange is the time that a caller has to send a request and to take the
// response. Others, to whom the caller's room is given, may end it.
type exchange struct {
	mu         sync.Mutex
	controller *http.ResponseController
	cancel     context.CancelFunc
	// over says that it has ended, aborted that others have ended it.
	over, aborted bool
}

func newExchange(w http.ResponseWriter, cancel context.CancelFunc) *exchange {
	e := &exchange{controller: http.NewResponseController(w), cancel: cancel}
	// A server that cannot set deadlines has some of its own.
	_ = e.controller.SetReadDeadline(time.Now().Add(readTimeout))
	return e
}

// clearReadDeadline says that the body is there. Its deadline must not end what follows.
func (e *exchange) clearReadDeadline() {
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.controller.SetReadDeadline(time.Time{})
}

// sendResponse writes the response, and returns when the caller has taken it or its time is
// over: until then the caller has room that others may want.
func (e *exchange) sendResponse(w http.ResponseWriter, code int, content []byte, within time.Duration) {
	e.mu.Lock()
	if !e.aborted {
		_ = e.controller.SetWriteDeadline(time.Now().Add(within))
	}
	e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(code)
	// The caller may have left, which is not an error.
	_, _ = w.Write(content) //nolint:gosec // JSON to the API server, with its content type; no browser reads it
	_ = e.controller.Flush()
}

// abort ends the exchange in whatever state it is.
func (e *exchange) abort() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.aborted = true
	e.cancel()
	_ = e.controller.SetReadDeadline(time.Now())
	_ = e.controller.SetWriteDeadline(time.Now())
}

// markDone says that the connection may serve another request.
func (e *exchange) markDone() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
}
