// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
)

// life knows which pods may live although none of their volumes is mounted. A volume
// that was seen and is no longer there is the end of a pod. One that was never seen may be
// about to come: the driver makes a pod's directory before it mounts it, and after the
// start of the machine the kubelet starts pods again under their UIDs.
type life struct {
	options Options
	started time.Time
	booted  func() time.Duration

	// known: what is mounted is known.
	known bool
	said  string
	// seen are pods whose volume this keeper saw; first is when it first saw the
	// directory of one without; looked are those of this look.
	seen   map[string]bool
	first  map[string]time.Time
	looked map[string]bool
}

func newLife(o Options) *life {
	return &life{options: o, started: o.Now(), booted: uptime, seen: map[string]bool{}, first: map[string]time.Time{}}
}

// uptime is for how long the machine has run.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// begin begins a look.
func (l *life) begin(v published.Volumes, err error) {
	l.known = err == nil
	l.looked = map[string]bool{}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != l.said {
		l.said = text
		if err != nil {
			l.options.Log.Error(err, "nothing of pods is removed")
		}
	}
	for uid := range v.Pods {
		l.seen[uid] = true
		l.looked[uid] = true
		delete(l.first, uid)
	}
}

// mayLive reports whether a pod without a volume may live. It is for census.Options.
func (l *life) mayLive(_ census.Place, uid string) bool {
	l.looked[uid] = true
	if !l.known {
		return true
	}
	if l.seen[uid] {
		return false
	}
	now := l.options.Now()
	first, ok := l.first[uid]
	if !ok {
		first = now
		l.first[uid] = now
	}
	return now.Sub(first) < l.options.Pace.Unseen || l.booted() < l.options.Pace.Booted
}

// end ends a look: what has neither a volume nor a directory is forgotten.
func (l *life) end() {
	for uid := range l.seen {
		if !l.looked[uid] {
			delete(l.seen, uid)
		}
	}
	for uid := range l.first {
		if !l.looked[uid] {
			delete(l.first, uid)
		}
	}
}
