// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/insight/read"
	"github.com/kuda-io/kuda/internal/insight/status"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

const (
	// rest is the least time from one picture to the next.
	rest = time.Second
	// beat is how often rates and times are computed anew while bytes move.
	beat = 2 * time.Second
)

// Key names what is followed. Credentials is a digest of those that it is read with:
// pictures are never shared among users.
type Key struct{ Credentials, Namespace, Name string }

// Picture is a DataSet as it was at one moment.
type Picture struct {
	DataSet   *v1alpha1.DataSet
	Data      []*v1alpha1.Data
	Revisions []*appsv1.ControllerRevision
	View      status.View
	SeenTime  metav1.Time
	Trouble   string
	// Err ends it: the DataSet was deleted.
	Err error

	// What every page shows alike is computed once.
	groups   []contract.Group
	timeline contract.Timeline
	steps    []contract.Step
}

// Hub has the followers.
type Hub struct {
	now     func() time.Time
	mu      sync.Mutex
	entries map[Key]*entry
}

// NewHub makes a hub; now is the clock.
func NewHub(now func() time.Time) *Hub { return &Hub{now: now, entries: map[Key]*entry{}} }

// Len returns how many DataSets are followed.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.entries)
}

// Subscription is one look at an entry.
type Subscription struct {
	hub  *Hub
	key  Key
	in   *entry
	once sync.Once
}

// Subscribe follows a DataSet, which was read with the client just before.
func (h *Hub) Subscribe(c client.WithWatch, key Key, d *v1alpha1.DataSet) *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[key]
	if e == nil {
		ctx, cancel := context.WithCancel(context.Background())
		e = &entry{cancel: cancel, fresh: make(chan struct{})}
		h.entries[key] = e
		go e.run(ctx, h, c, d)
	}
	e.lookers++
	return &Subscription{hub: h, key: key, in: e}
}

// Close ends the look, and the follower with the last.
func (s *Subscription) Close() {
	s.once.Do(func() {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		if s.in.lookers--; s.in.lookers == 0 {
			s.in.cancel()
			if s.hub.entries[s.key] == s.in {
				delete(s.hub.entries, s.key)
			}
		}
	})
}

// Latest returns the newest picture, nil before the first, and a channel that is closed
// with the next one.
func (s *Subscription) Latest() (*Picture, <-chan struct{}) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.picture, s.in.fresh
}

type entry struct {
	cancel  context.CancelFunc
	lookers int

	mu      sync.Mutex
	picture *Picture
	fresh   chan struct{}
}

func (e *entry) publishPicture(p *Picture) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.picture = p
	close(e.fresh)
	e.fresh = make(chan struct{})
}

// run computes pictures until the context ends.
func (e *entry) run(ctx context.Context, h *Hub, c client.WithWatch, d *v1alpha1.DataSet) {
	in, err := status.ReadInput(ctx, c, d)
	if err != nil {
		e.publishPicture(&Picture{DataSet: d, Err: err, SeenTime: metav1.NewTime(h.now())})
		return
	}
	w := &watcher{client: c, input: *in, fresh: h.now()}
	w.input.Program = "kubectl kuda"
	w.readRevisions(ctx)
	w.follower = status.Follow(ctx, c, client.ObjectKeyFromObject(d), len(in.Unread) == 0)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		p := w.buildPicture(ctx, h.now())
		e.publishPicture(p)
		if p.Err != nil || !w.waitForChange(ctx, ticker, p.View.Moving.Total > 0 || p.Trouble != "") {
			return
		}
	}
}

// watcher is what a run of an entry knows.
type watcher struct {
	client   client.WithWatch
	follower *status.Follower
	input    status.Input
	meter    status.Meter
	// revisions are read again when the update revision or the history changes.
	revisions []*appsv1.ControllerRevision
	readFor   string
	records   int
	fresh     time.Time
}

func (w *watcher) readRevisions(ctx context.Context) {
	s := &w.input.DataSet.Status
	if w.readFor == s.UpdateRevision && w.records == len(s.History) && w.revisions != nil {
		return
	}
	revisions, err := read.Revisions(ctx, w.client, w.input.DataSet)
	if err != nil {
		return // undo is off without them, and numbers are those of the history
	}
	w.revisions, w.readFor, w.records = revisions, s.UpdateRevision, len(s.History)
	w.input.Numbers = make(map[string]int64, len(revisions))
	for _, r := range revisions {
		w.input.Numbers[r.Name] = r.Revision
	}
}

func (w *watcher) buildPicture(ctx context.Context, now time.Time) *Picture {
	err := w.follower.Refresh(ctx, &w.input)
	w.input.Now = now
	p := &Picture{DataSet: w.input.DataSet, Data: w.input.Data, SeenTime: metav1.NewTime(now), Err: err}
	if p.Trouble = w.follower.Problem(now, w.fresh); p.Trouble == "" {
		w.fresh = now
	} else {
		p.SeenTime = metav1.NewTime(w.fresh)
	}
	w.readRevisions(ctx)
	p.Revisions = w.revisions
	p.View = status.Build(w.input)
	w.meter.Measure(&p.View, now)
	p.groups, p.timeline, p.steps = GroupByReason(p.View.Pods), BuildTimeline(p.DataSet, p.Data), BuildSteps(p.DataSet)
	return p
}

// waitForChange waits for something new, or for the next beat where one is wanted, and
// reports whether the context still goes on.
func (w *watcher) waitForChange(ctx context.Context, ticker *time.Ticker, beats bool) bool {
	pause := time.NewTimer(rest)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pause.C:
	}
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.follower.Changed():
			return true
		case <-ticker.C:
			if beats || w.follower.Problem(w.fresh, w.fresh) != "" {
				return true
			}
		}
	}
}

// Choices returns what may be done of the rollout, in the words of say.
func (p *Picture) Choices(say steer.Say) []steer.Choice {
	return steer.Choices(p.DataSet, p.Data, p.Revisions, say)
}

// Deleted reports whether the picture is the last because the DataSet is gone.
func (p *Picture) Deleted() bool { return errors.Is(p.Err, status.ErrDeleted) }
