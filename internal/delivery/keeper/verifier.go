// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/keeper/examine"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// examineRetry is the pause after a snapshot could not be compared.
const examineRetry = time.Minute

// verifier compares snapshots with what was delivered, one after the other, each now and
// then. It has the disk when no other process wants it, and reads slowly.
type verifier struct {
	options Options
	base    *confined.Dir
	damaged func(*gatewayv1alpha1.Damage)
	changed func()
	wake    chan struct{}
	state   *verifyState

	mu    sync.Mutex
	known map[snapshotKey]*examined
	// spent is how many bytes were read of each store: the one with the least comes next.
	spent map[census.Place]int64
}

type snapshotKey struct {
	place census.Place
	id    snapshot.ID
}

// examined is what is known of one snapshot.
type examined struct {
	census.Snapshot
	// at is when it was last found to be right, and digest is what it had then; zero: not yet.
	at     time.Time
	digest string
	// due is when it is compared next.
	due time.Time
	// seen: the last look saw it.
	seen bool
}

func newVerifier(o Options, damaged func(*gatewayv1alpha1.Damage), changed func()) *verifier {
	return &verifier{options: o, damaged: damaged, changed: changed, wake: make(chan struct{}, 1), known: map[snapshotKey]*examined{},
		spent: map[census.Place]int64{}, state: &verifyState{log: o.Log}}
}

// update says which snapshots there are.
func (v *verifier) update(stores []*census.Store) {
	if v.options.VerifyEvery == 0 {
		return
	}
	now := v.options.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.known {
		e.seen = false
	}
	for _, s := range stores {
		for i := range s.Snapshots {
			v.noteSnapshot(snapshotKey{s.Place, s.Snapshots[i].ID}, s.Snapshots[i], now)
		}
	}
	for key, e := range v.known {
		if !e.seen {
			delete(v.known, key)
		}
	}
	v.noteStores(stores)
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// noteStores has new stores begin with what others have got, and forgets those that are gone.
func (v *verifier) noteStores(stores []*census.Store) {
	spent, least := make(map[census.Place]int64, len(stores)), int64(math.MaxInt64)
	for _, s := range stores {
		if bytes, ok := v.spent[s.Place]; ok {
			spent[s.Place], least = bytes, min(least, bytes)
		}
	}
	for _, s := range stores {
		if _, ok := spent[s.Place]; !ok && least < math.MaxInt64 {
			spent[s.Place] = least
		} else if !ok {
			spent[s.Place] = 0
		}
	}
	v.spent = spent
}

func (v *verifier) noteSnapshot(key snapshotKey, s census.Snapshot, now time.Time) {
	e := v.known[key]
	same := e != nil && e.Identity.Inode == s.Identity.Inode && e.Identity.Device == s.Identity.Device && e.Identity.Born == s.Identity.Born
	if !same {
		e = &examined{}
		e.at, e.digest = v.state.lastResult(key, s.Identity)
		v.known[key] = e
		// What a runtime has just brought was compared by it.
		e.due = laterTime(e.at, s.Made).Add(v.options.VerifyEvery)
	}
	if same && e.Identity != s.Identity || !same && e.digest != "" && e.digest != s.Digest {
		e.due = now // the manifest was written again
	}
	e.Snapshot, e.seen = s, true
}

func laterTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// verifiedBy returns by when all snapshots of a store were last found to be right; zero:
// not all were yet.
func (v *verifier) verifiedBy(place census.Place) *timestamppb.Timestamp {
	v.mu.Lock()
	defer v.mu.Unlock()
	var first time.Time
	for key, e := range v.known {
		if key.place != place {
			continue
		}
		if e.at.IsZero() {
			return nil
		}
		if first.IsZero() || e.at.Before(first) {
			first = e.at
		}
	}
	if first.IsZero() {
		return nil
	}
	return timestamppb.New(first)
}

// next returns the snapshot that is to be compared first, and when. Of those that are due, one of
// the store comes first of which the least was read: however much one has, and however
// often it changes, the others have their turns.
func (v *verifier) next(now time.Time) (key snapshotKey, e examined, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for k, known := range v.known {
		// One that is in doubt is read by the runtime that wants it.
		if !known.Suspect && (!ok || v.comesBefore(k, known, key, &e, now)) {
			key, e, ok = k, *known, true
		}
	}
	return key, e, ok
}

func (v *verifier) comesBefore(a snapshotKey, ea *examined, b snapshotKey, eb *examined, now time.Time) bool {
	if ea.due.After(now) || eb.due.After(now) || v.spent[a.place] == v.spent[b.place] {
		return ea.due.Before(eb.due)
	}
	return v.spent[a.place] < v.spent[b.place]
}

// spend notes what was read of a store.
func (v *verifier) spend(place census.Place, bytes int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.spent[place]; ok {
		v.spent[place] += bytes
	}
}

// run compares until the context ends.
func (v *verifier) run(ctx context.Context) {
	if v.options.VerifyEvery == 0 {
		<-ctx.Done()
		return
	}
	beIdle()
	saved := v.options.Now()
	pace := &pace{limiter: rate.NewLimiter(rate.Limit(v.options.VerifyRate), 1<<20)}
	x := examine.New(pace)
	for ctx.Err() == nil {
		key, e, ok := v.next(v.options.Now())
		wait := v.options.VerifyEvery
		if ok {
			wait = e.due.Sub(v.options.Now())
		}
		if now := v.options.Now(); wait > 0 || now.Sub(saved) > saveEvery {
			v.saveState()
			saved = now
		}
		if wait <= 0 {
			pace.bytes = minimalCost // what is found before anything is read costs, too
			v.verifySnapshot(ctx, x, key, e)
			v.spend(key.place, pace.bytes)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-v.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	v.saveState()
}

// saveEvery is how often it is written down what was compared while there is more to
// compare.
const saveEvery = time.Minute

// saveState writes down when snapshots were compared. What is lost is compared again.
func (v *verifier) saveState() {
	v.mu.Lock()
	keep := make(map[string]bool, len(v.known))
	for key := range v.known {
		keep[stateKey(key)] = true
	}
	text, err := v.state.encode(func(key string) bool { return keep[key] })
	v.mu.Unlock()
	if err == nil && text != nil {
		err = v.base.Replace(stateFile, text)
	}
	if err != nil {
		v.options.Log.Error(err, "when snapshots were compared was not written down")
	}
}

// minimalCost is what a snapshot costs, however little there is to read, in bytes.
const minimalCost = 64 << 10

// pace limits what is read by bytes per second, and counts it.
type pace struct {
	limiter *rate.Limiter
	bytes   int64
}

// Wait implements examine.Pace.
func (p *pace) Wait(ctx context.Context, bytes int) error {
	p.bytes += int64(bytes)
	return p.limiter.WaitN(ctx, min(bytes, p.limiter.Burst()))
}

// verifySnapshot compares one snapshot, and acts on what it finds.
func (v *verifier) verifySnapshot(ctx context.Context, x *examine.Examiner, key snapshotKey, e examined) {
	finding, err := v.examine(ctx, x, key, e)
	now := v.options.Now()
	v.options.Metrics.observeVerified(finding, err)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, examine.ErrGone):
		v.mu.Lock()
		delete(v.known, key)
		v.mu.Unlock()
		v.changed()
	case err != nil:
		v.options.Log.V(1).Info("a snapshot was not compared with what was delivered", "store", key.place.String(), "snapshot", key.id,
			"reason", err.Error())
		v.reschedule(key, func(e *examined) { e.due = now.Add(examineRetry) })
	case finding == nil:
		v.reschedule(key, func(e *examined) {
			e.at, e.digest, e.due = now, e.Digest, now.Add(v.options.VerifyEvery)
			v.state.note(key, e.Identity, now, e.Digest)
		})
	default:
		v.handleFinding(ctx, x, key, e, finding)
	}
}

func (v *verifier) reschedule(key snapshotKey, change func(*examined)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.known[key]; e != nil {
		change(e)
	}
}

func (v *verifier) examine(ctx context.Context, x *examine.Examiner, key snapshotKey, e examined) (*examine.Finding, error) {
	if e.digest != "" && e.digest != e.Digest {
		return &examine.Finding{Message: "its manifest was replaced: it says " + e.Digest + " instead of " + e.digest}, nil
	}
	dir, err := v.base.Dir(key.place.Namespace, key.place.UID, store.SnapshotsDir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return x.Snapshot(ctx, dir, key.id)
}

// handleFinding has a damaged snapshot replaced. Those that have the damaged file too are
// marked first, so that none of them is what the new one is made from.
func (v *verifier) handleFinding(ctx context.Context, x *examine.Examiner, key snapshotKey, e examined, f *examine.Finding) {
	for _, id := range append(v.sharing(ctx, x, key, f), key.id) {
		if err := v.mark(key.place, id); err != nil {
			v.options.Log.Error(err, "a damaged snapshot was not marked", "store", key.place.String(), "snapshot", id)
		}
	}
	outcome := gatewayv1alpha1.DamageOutcome_DAMAGE_OUTCOME_MARKED
	if !e.Needed {
		gone, err := evictSnapshot(v.base, key.place, key.id)
		if err != nil {
			v.options.Log.Error(err, "a damaged snapshot was not removed", "store", key.place.String(), "snapshot", key.id)
		}
		if gone {
			outcome = gatewayv1alpha1.DamageOutcome_DAMAGE_OUTCOME_REMOVED
		}
	}
	v.options.Log.Info("found a snapshot that is not what was delivered", "store", key.place.String(), "snapshot", key.id,
		"path", e.Key.Path, "version", e.Key.Version, "file", f.File, "reason", f.Message, "outcome", outcome.String())
	now := v.options.Now()
	v.damaged(&gatewayv1alpha1.Damage{Directory: directoryOf(key.place), Snapshot: string(key.id),
		Source: cutText(e.Key.Source), Path: cutText(e.Key.Path), Version: cutText(e.Key.Version), File: cutText(f.File),
		Message: cutText(f.Message), Outcome: outcome, FoundTime: timestamppb.New(now)})
	v.mu.Lock()
	// Who changed one file may have changed others of the store.
	for other, known := range v.known {
		if other.place == key.place && other != key {
			known.due = now
		}
	}
	if known := v.known[key]; known != nil {
		known.Suspect, known.due = true, now.Add(v.options.VerifyEvery)
	}
	v.mu.Unlock()
	v.changed()
}

// maxText is above every name that Kuda writes, and within what the gateway takes.
const maxText = 1024

func cutText(s string) string {
	if len(s) <= maxText {
		return validText(s)
	}
	return validText(s[:maxText])
}

// sharing returns the other snapshots of a store that have the damaged file.
func (v *verifier) sharing(ctx context.Context, x *examine.Examiner, key snapshotKey, f *examine.Finding) (ids []snapshot.ID) {
	dir, err := v.base.Dir(key.place.Namespace, key.place.UID, store.SnapshotsDir)
	if err != nil || f.Inode == 0 {
		return nil
	}
	defer dir.Close()
	v.mu.Lock()
	var others []snapshot.ID
	for other := range v.known {
		if other.place == key.place && other.id != key.id {
			others = append(others, other.id)
		}
	}
	v.mu.Unlock()
	for _, id := range others {
		if x.HasFile(ctx, dir, id, f) {
			ids = append(ids, id)
		}
	}
	return ids
}

// mark has a snapshot read before it is served; see package store.
func (v *verifier) mark(place census.Place, id snapshot.ID) error {
	locks, err := v.base.Dir(place.Namespace, place.UID, store.LocksDir)
	if err != nil {
		return err
	}
	defer locks.Close()
	return markSuspect(locks, id)
}
