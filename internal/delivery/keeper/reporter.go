// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kuda-io/kuda/internal/delivery/inventory"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// What one report has at most; the gateway takes a little more.
const (
	maxReported      = 64
	maxReportedBytes = 384 << 10
	maxDamages       = 64
)

// reporter reports what stores hold: what changed, and everything after the gateway was
// reached anew and now and then.
type reporter struct {
	options Options
	// verified returns by when a store was compared with what was delivered.
	verified func(census.Place) *timestamppb.Timestamp
	wake     chan struct{}
	// Of the goroutine that reports.
	said     map[census.Place]inventory.Said
	general  time.Time // when what is not of one store was last said
	listed   string
	connects int
	failures int
	refused  bool

	mu        sync.Mutex
	newest    *sight
	connected bool
	reached   int
	damages   []*gatewayv1alpha1.Damage
}

func newReporter(o Options) *reporter {
	return &reporter{options: o, wake: make(chan struct{}, 1), said: map[census.Place]inventory.Said{}}
}

func (r *reporter) signalChange() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// update says what the stores hold now. What is on its way is followed by it.
func (r *reporter) update(s *sight) {
	r.mu.Lock()
	r.newest = s
	r.mu.Unlock()
	r.signalChange()
}

// setConnected says that the gateway was reached, or that it no longer is.
func (r *reporter) setConnected(yes bool) {
	r.mu.Lock()
	r.connected = yes
	if yes {
		r.reached++
	}
	r.mu.Unlock()
	r.signalChange()
}

// addDamage has a finding reported. Of too many, the oldest are left out.
func (r *reporter) addDamage(d *gatewayv1alpha1.Damage) {
	r.mu.Lock()
	r.damages = append(r.damages, d)
	r.damages = r.damages[max(len(r.damages)-maxDamages, 0):]
	r.mu.Unlock()
	r.signalChange()
}

// run reports until the context ends.
func (r *reporter) run(ctx context.Context) {
	timer := time.NewTimer(r.options.Pace.Repeat)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		wait := r.reportChanges(ctx)
		if wait > 0 {
			// What comes meanwhile waits with it, so that reports keep their distance.
			pause := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
			r.signalChange()
		}
		timer.Reset(r.options.Pace.Repeat / 5)
	}
}

// reportChanges reports what is due, and returns how long to wait before the next report; 0
// where nothing is known to be due.
func (r *reporter) reportChanges(ctx context.Context) time.Duration {
	r.mu.Lock()
	s, connected, reached := r.newest, r.connected, r.reached
	damages := r.damages
	r.mu.Unlock()
	if s == nil || !connected {
		return 0
	}
	if reached != r.connects {
		// Who listens now may not have heard anything yet.
		r.connects, r.refused, r.failures = reached, false, 0
		r.general = time.Time{}
		clear(r.said)
	}
	if r.refused {
		return 0
	}
	reports := r.dueReports(s, damages)
	var refused error
	for _, one := range reports {
		err := r.sendReport(ctx, one, damages)
		if err != nil && connect.CodeOf(err) != connect.CodeInvalidArgument {
			return r.noteFailure(ctx, err)
		}
		refused = errors.Join(refused, err)
	}
	if refused != nil {
		return r.noteFailure(ctx, refused)
	}
	if len(reports) == 0 {
		return 0
	}
	return r.options.Pace.Apart
}

// sendReport sends a report. One that is refused for what it says is divided: what one store
// holds must not keep the others from being reported.
func (r *reporter) sendReport(ctx context.Context, one report, damages []*gatewayv1alpha1.Damage) error {
	err := r.options.Gateway.ReportNode(ctx, one.request)
	if err == nil {
		r.noteSaid(one, damages)
		return nil
	}
	half := len(one.places) / 2
	if connect.CodeOf(err) != connect.CodeInvalidArgument || half == 0 {
		return err
	}
	first, second := one, one
	first.request, second.request = proto.CloneOf(one.request), proto.CloneOf(one.request)
	first.places, first.request.Stores = one.places[:half], one.request.GetStores()[:half]
	second.places, second.request.Stores = one.places[half:], one.request.GetStores()[half:]
	second.request.Damages = nil
	return errors.Join(r.sendReport(ctx, first, damages), r.sendReport(ctx, second, damages))
}

// report is a request, and the stores that it speaks of.
type report struct {
	request *gatewayv1alpha1.ReportNodeRequest
	places  []census.Place
	listed  string
}

// dueReports returns the reports that are to be sent now.
func (r *reporter) dueReports(s *sight, damages []*gatewayv1alpha1.Damage) (out []report) {
	now := r.options.Now()
	empty, listed := r.emptyReport(s)
	current, size := report{request: proto.CloneOf(empty), listed: listed}, 0
	current.request.Damages = damages
	due := len(damages) > 0 || listed != r.listed || r.general.IsZero() || now.Sub(r.general) >= r.options.Pace.Repeat
	damaged := map[census.Place]bool{}
	for _, d := range damages {
		damaged[placeOf(d.GetDirectory())] = true
	}
	// What is damaged is reported with its store, and so in the first report.
	stores := slices.Clone(s.stores)
	slices.SortStableFunc(stores, func(a, b *census.Store) int { return compareBool(damaged[b.Place], damaged[a.Place]) })
	for _, one := range stores {
		contents := r.contentsOf(one, s)
		said := r.said[one.Place]
		if !damaged[one.Place] && !said.IsDue(contents.GetContents(), now) {
			continue
		}
		bytes := proto.Size(contents)
		if n := len(current.places); n == maxReported || n > 0 && size+bytes > maxReportedBytes {
			out = append(out, current)
			current, size = report{request: proto.CloneOf(empty), listed: listed}, 0
		}
		current.request.Stores = append(current.request.Stores, contents)
		current.places = append(current.places, one.Place)
		size += bytes
		due = true
	}
	if due {
		out = append(out, current)
	}
	return out
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// emptyReport is a report of no store, with what is not of one.
func (r *reporter) emptyReport(s *sight) (m *gatewayv1alpha1.ReportNodeRequest, listed string) {
	m = &gatewayv1alpha1.ReportNodeRequest{KeeperVersion: r.options.Version, NodeQuotaBytes: toUint64(r.options.NodeQuota.Of(s.disk.Size))}
	for _, one := range s.stores {
		m.Directories = append(m.Directories, directoryOf(one.Place))
		m.NodeUsedBytes += toUint64(one.Used())
		listed += one.Place.String() + "\n"
	}
	return m, listed
}

func (r *reporter) contentsOf(one *census.Store, s *sight) *gatewayv1alpha1.StoreContents {
	quota, reserve := r.options.StoreQuota.Of(s.disk.Size), r.options.Reserve.Of(s.disk.Size)
	contents := inventory.NewReport(stockOf(one, s.disk, quota, reserve), one.Users, wantedOf(one))
	shorten(contents)
	return &gatewayv1alpha1.StoreContents{Directory: directoryOf(one.Place), Contents: contents, Unreadable: one.Unreadable,
		VerifiedTime: r.verified(one.Place)}
}

// shorten counts the last snapshots of a report instead of listing them, until the gateway takes
// it: names may be as long as whoever wrote them likes.
func shorten(r *gatewayv1alpha1.ReportStoreRequest) {
	for size := proto.Size(r); size > maxReportedBytes && len(r.Snapshots) > 0; {
		last := r.Snapshots[len(r.Snapshots)-1]
		r.Snapshots = r.Snapshots[:len(r.Snapshots)-1]
		size -= proto.Size(last)
		if last.GetPhase() == gatewayv1alpha1.Phase_PHASE_SUCCESS {
			r.OmittedSnapshots++
			r.OmittedBytes += last.GetBytes()
		}
	}
}

func (r *reporter) noteSaid(one report, damages []*gatewayv1alpha1.Damage) {
	now := r.options.Now()
	r.failures = 0
	r.general, r.listed = now, one.listed
	for i, place := range one.places {
		r.said[place] = inventory.Remember(one.request.GetStores()[i].GetContents(), now, r.options.Pace.Repeat)
	}
	for place := range r.said {
		if !containsDirectory(one.request.GetDirectories(), place) {
			delete(r.said, place)
		}
	}
	if len(one.request.GetDamages()) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Those that came meanwhile, and took the place of older ones, stay.
	reported := map[*gatewayv1alpha1.Damage]bool{}
	for _, d := range damages {
		reported[d] = true
	}
	var left []*gatewayv1alpha1.Damage
	for _, d := range r.damages {
		if !reported[d] {
			left = append(left, d)
		}
	}
	r.damages = left
}

func containsDirectory(list []*gatewayv1alpha1.StoreDirectory, place census.Place) bool {
	for _, d := range list {
		if placeOf(d) == place {
			return true
		}
	}
	return false
}

// noteFailure returns how long to wait after a report that was not taken.
func (r *reporter) noteFailure(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	r.options.Metrics.countReportFailure()
	switch connect.CodeOf(err) {
	case connect.CodeUnimplemented:
		r.refused = true
		r.options.Log.Info("the gateway takes no reports of nodes; it is of an older release")
		return 0
	case connect.CodePermissionDenied, connect.CodeInvalidArgument:
		r.options.Log.Info("report of the node was refused", "reason", err.Error())
		r.failures = max(r.failures, refusedFailures)
	default:
		r.options.Log.V(1).Info("report of the node was not taken", "reason", err.Error())
	}
	pause := max(uplink.Pause(r.failures), r.options.Pace.Apart)
	r.failures++
	return pause
}

// refusedFailures is as how many failures a refusal counts: the same would meet the
// same.
const refusedFailures = 6
