// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/sha256"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

const (
	// rememberGood is how long a good answer is believed at most. The token's own
	// expiry, mostly an hour after it was made, and the deletion of its pod end it
	// sooner. What may take so long is a token whose service account was deleted under
	// a running pod: it goes on reading and reporting its own pod's Data until then.
	// A shorter time would have each new version of the data cost a question per pod.
	rememberGood = 2 * time.Hour
	// nearExpiry is how long before its expiry a token is asked about again: the clock
	// of the API server may be ahead.
	nearExpiry = 10 * time.Second
	// rememberBad spares the API server a runtime that tries the same bad token
	// again and again. It is short, because an API server that is behind others
	// may refuse a token of a new pod.
	rememberBad = 10 * time.Second
	// maxPods bounds the good answers: pods, of which each has at most maxTokens.
	// Those that called longest ago are forgotten first.
	maxPods   = 16384
	maxTokens = 3
	// maxBad bounds the bad answers. They have a place of their own, so that a
	// flood of bad tokens drives out no good one.
	maxBad = 8192
)

// tokenKey stands for a token. The token itself is not kept: a reader of this
// memory learns nothing.
type tokenKey [sha256.Size]byte

type goodAnswer struct {
	token tokenKey
	pod   Pod
	until time.Time
}

type badAnswer struct {
	err   error
	until time.Time
}

// remembered keeps the API server's answers for a while.
type remembered struct {
	clock clock.PassiveClock

	mu sync.Mutex
	// good is by the pod's UID, newest token first.
	good *lru.Cache
	bad  *lru.Cache
	// gone has the pods that were deleted a moment ago: an answer that was on its
	// way meanwhile is not kept.
	gone *lru.Cache
}

func newRemembered(passive clock.PassiveClock) *remembered {
	return &remembered{clock: passive, good: lru.New(maxPods), bad: lru.New(maxBad), gone: lru.New(maxPods)}
}

// answer is what the API server said of a token.
type answer struct {
	pod Pod
	err error
}

// findAnswer returns what is remembered of a token; false when nothing is.
func (r *remembered) findAnswer(uid types.UID, token tokenKey) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if known, found := r.good.Get(uid); found {
		for _, a := range known.([]goodAnswer) {
			if a.token == token && now.Before(a.until) {
				return answer{pod: a.pod}, true
			}
		}
	}
	if known, found := r.bad.Get(token); found {
		if a := known.(badAnswer); now.Before(a.until) {
			return answer{err: a.err}, true
		}
		r.bad.Remove(token)
	}
	return answer{}, false
}

func (r *remembered) recordAccepted(token tokenKey, p Pod, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, gone := r.gone.Get(p.UID); gone {
		return
	}
	until := r.clock.Now().Add(rememberGood)
	if near := expires.Add(-nearExpiry); near.Before(until) {
		until = near
	}
	answers := []goodAnswer{{token, p, until}}
	if known, found := r.good.Get(p.UID); found {
		for _, a := range known.([]goodAnswer) {
			if a.token != token && len(answers) < maxTokens {
				answers = append(answers, a)
			}
		}
	}
	r.good.Add(p.UID, answers)
}

func (r *remembered) recordRefused(token tokenKey, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad.Add(token, badAnswer{err, r.clock.Now().Add(rememberBad)})
}

func (r *remembered) forgetPod(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good.Remove(uid)
	r.gone.Add(uid, struct{}{})
}
