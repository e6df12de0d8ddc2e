// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"sync"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
)

// maxLimited bounds the pods whose calls are counted; those that called
// longest ago are forgotten first.
const maxLimited = 16384

// limits keeps one pod from using up what all share. A runtime that works as
// it should stays far below each.
type limits struct {
	mu   sync.Mutex
	pods *lru.Cache
}

type podLimits struct {
	watches, reports, hooks, stores *rate.Limiter
}

func newLimits() *limits { return &limits{pods: lru.New(maxLimited)} }

func (l *limits) of(pod types.UID) *podLimits {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.pods.Get(pod); ok {
		return known.(*podLimits)
	}
	fresh := &podLimits{
		watches: rate.NewLimiter(1, 10),
		reports: rate.NewLimiter(20, 100),
		hooks:   rate.NewLimiter(2, 20),
		stores:  rate.NewLimiter(2, 20),
	}
	l.pods.Add(pod, fresh)
	return fresh
}

func (l *limits) watch(pod types.UID) bool  { return l.of(pod).watches.Allow() }
func (l *limits) report(pod types.UID) bool { return l.of(pod).reports.Allow() }
func (l *limits) hook(pod types.UID) bool   { return l.of(pod).hooks.Allow() }
func (l *limits) store(pod types.UID) bool  { return l.of(pod).stores.Allow() }
