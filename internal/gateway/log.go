// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"log"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/kuda-io/kuda/internal/gateway/door"
)

// newHTTPLogger passes what net/http says about single connections on at a verbosity
// at which it does not drown the rest: any client that can reach the port can cause
// it.
func newHTTPLogger(l logr.Logger) *log.Logger { return log.New(lines{l}, "", 0) }

type lines struct{ log logr.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.V(1).Info("had trouble with a connection", "detail", strings.TrimSpace(string(p)))
	return len(p), nil
}

// sparing logs refusals, of each reason one line a minute: any client can cause them.
type sparing struct {
	clock clock.PassiveClock
	log   logr.Logger

	mu      sync.Mutex
	reasons map[string]*spared
}

type spared struct {
	last  time.Time
	count int
}

// refusalInterval is the time between two lines of the same reason.
const refusalInterval = time.Minute

func newSparing(passive clock.PassiveClock, log logr.Logger) *sparing {
	return &sparing{clock: passive, log: log, reasons: make(map[string]*spared)}
}

func (s *sparing) logRefusal(r door.Refusal) {
	s.mu.Lock()
	now, known := s.clock.Now(), s.reasons[r.Reason]
	if known == nil {
		known = &spared{}
		s.reasons[r.Reason] = known
	}
	known.count++
	if now.Sub(known.last) < refusalInterval {
		s.mu.Unlock()
		return
	}
	count := known.count
	*known = spared{last: now}
	s.mu.Unlock()
	values := []any{"reason", r.Reason, "since", count, "procedure", r.Procedure}
	if r.Caller.Name != "" {
		values = append(values, "namespace", r.Caller.Namespace, "pod", r.Caller.Name)
	}
	if r.Err != nil {
		values = append(values, "detail", r.Err.Error())
	}
	s.log.Info("refused a request", values...)
}
