// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"fmt"
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
	// revisionsLimit is how long revisions are waited for, and revisionsAgain after how long
	// those are asked for again that could not be read. revisionsKept is for those of which
	// nothing says that they changed.
	revisionsLimit = 5 * time.Second
	revisionsAgain = 30 * time.Second
	revisionsKept  = 10 * time.Minute
	// firstLimit is for reading what the first picture needs.
	firstLimit = 45 * time.Second
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
	// Err ends it: the DataSet was deleted, or the caller may not read it any more.
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
		go e.runGuarded(ctx, h, c, d)
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

// runGuarded is run with a panic as the end of it: an object that nothing expected must not
// end the server for all.
func (e *entry) runGuarded(ctx context.Context, h *Hub, c client.WithWatch, d *v1alpha1.DataSet) {
	defer func() {
		if v := recover(); v != nil {
			err := fmt.Errorf("computing the view of DataSet %s: %v", d.Name, v)
			e.publishPicture(&Picture{DataSet: d, Err: err, SeenTime: metav1.NewTime(h.now())})
		}
	}()
	e.run(ctx, h, c, d)
}

// run computes pictures until the context ends.
func (e *entry) run(ctx context.Context, h *Hub, c client.WithWatch, d *v1alpha1.DataSet) {
	first, cancel := context.WithTimeout(ctx, firstLimit)
	in, err := status.ReadInput(first, c, d)
	cancel()
	if err != nil {
		e.publishPicture(&Picture{DataSet: d, Err: err, SeenTime: metav1.NewTime(h.now())})
		return
	}
	w := &watcher{client: c, input: *in, fresh: h.now()}
	w.input.Program = "kubectl kuda"
	w.readRevisions(ctx, h.now())
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
	// again is when they are asked for in any case.
	again time.Time
	fresh time.Time
}

func (w *watcher) readRevisions(ctx context.Context, now time.Time) {
	s := &w.input.DataSet.Status
	if w.readFor == s.UpdateRevision && w.records == len(s.History) && now.Before(w.again) {
		return
	}
	w.readFor, w.records = s.UpdateRevision, len(s.History)
	ctx, cancel := context.WithTimeout(ctx, revisionsLimit)
	defer cancel()
	revisions, err := read.Revisions(ctx, w.client, w.input.DataSet)
	if err != nil || len(revisions) == 0 {
		w.again = now.Add(revisionsAgain)
		return // undo is off without them, and numbers are those of the history
	}
	w.revisions, w.again = revisions, now.Add(revisionsKept)
	w.input.Numbers = make(map[string]int64, len(revisions))
	for _, r := range revisions {
		w.input.Numbers[r.Name] = r.Revision
	}
}

func (w *watcher) buildPicture(ctx context.Context, now time.Time) *Picture {
	soon, cancel := context.WithTimeout(ctx, revisionsLimit)
	err := w.follower.Refresh(soon, &w.input)
	cancel()
	w.input.Now = now
	if err == nil {
		err = w.follower.Refusal() // what was read before is no longer the caller's to see
	}
	p := &Picture{DataSet: w.input.DataSet, Data: w.input.Data, SeenTime: metav1.NewTime(now), Err: err}
	if p.Trouble = w.follower.Problem(now, w.fresh); p.Trouble == "" {
		w.fresh = now
	} else {
		p.SeenTime = metav1.NewTime(w.fresh)
	}
	w.readRevisions(ctx, now)
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
