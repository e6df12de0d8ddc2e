// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/source"
)

// retrySignal lets those that wait before another try know that they are to try now.
type retrySignal struct {
	mu sync.Mutex
	ch chan struct{}
}

// next returns a channel that is closed when the next signal is sent. Whoever asks for
// it before a try misses none that is sent during the try.
func (s *retrySignal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *retrySignal) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// MountsChanged tells the worker that what is mounted into the runtime has changed: what
// failed is tried now, and the status says what is mounted.
func (w *Worker) MountsChanged() {
	w.mu.Lock()
	a := w.want
	w.mu.Unlock()
	credentials := w.env.Sources.Mounts.Check(a.GetSources())
	w.updateStatus(func(s *status.DataSet) {
		if !w.withdrawn {
			s.Credentials = credentials
		}
	})
	w.again.send()
}

// takeRetryToken notes the token of an assignment. A new one wakes what waits before
// another try; the worker's next pass does the rest. The caller has the lock.
func (w *Worker) takeRetryToken(token string) {
	first := w.want == nil
	if token == w.retryToken {
		return
	}
	w.retryToken = token
	if !first && token != "" {
		w.again.send()
		w.signalChange()
	}
}

// applyRetryToken gives what failed another try, once for each token: that a token was
// taken is remembered across restarts.
func (w *Worker) applyRetryToken() {
	w.mu.Lock()
	token := w.retryToken
	w.mu.Unlock()
	if token == "" || token == w.record.RetryToken {
		return
	}
	clear(w.failures)
	w.fills.forgetAll()
	w.failedHook = ""
	w.record.RetryToken = token
	if w.record.Failed != nil {
		w.log.Info("tries the revision again that was held back, because that was requested", "revision", w.record.Failed.Revision)
		w.record.Failed = nil
	}
	if err := w.record.Save(); err != nil {
		w.log.Error(err, "the request to try again was not remembered")
	}
}

// pauseAfter returns how long to wait after a failure, and so many in a row before it.
func (w *Worker) pauseAfter(err error, failures int) time.Duration {
	return max(w.env.Retry(status.ReasonOf(err), failures), min(source.RetryAfter(err), status.LongestPause))
}

// othersWork counts the items of a list that are on their way. One that failed is tried
// again while there are others; what is tried when all have ended is the caller's matter.
type othersWork struct {
	mu    sync.Mutex
	count int
	ended chan struct{}
}

func newOthersWork(items int) *othersWork {
	return &othersWork{count: items, ended: make(chan struct{})}
}

// leave says that one is no longer on its way, and reports whether others are.
func (o *othersWork) leave() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count--; o.count == 0 {
		close(o.ended)
	}
	return o.count > 0
}

// join reports whether one may be on its way again, and counts it: not when all have ended.
func (o *othersWork) join() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count == 0 {
		return false
	}
	o.count++
	return true
}

// waitToJoin waits for the pause, or a signal, and reports whether there is to be another try.
func (o *othersWork) waitToJoin(ctx context.Context, again <-chan struct{}, pause time.Duration) (signalled, join bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, false
	case <-o.ended:
		return false, false
	case <-again:
		return true, o.join()
	case <-timer.C:
		return false, o.join()
	}
}
