// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const (
	// lastWords is how long the end of the process waits for a last report.
	lastWords = time.Second
	// leisure is how many times longer than a look the pause before the next one
	// is: a store with thousands of snapshots must not keep a processor busy.
	leisure = 10
)

// reporter is an Inventory that has its turn.
type reporter struct {
	*Inventory
	turn *store.Turn

	said Said
	// connects is when, in reaches of the gateway, said was said.
	connects int
	// refused: the gateway is older and takes no such reports.
	refused  bool
	failures int
	sent     time.Time
	// took is how long the last look took, and downloading whether it saw a download.
	took        time.Duration
	downloading bool
}

func newReporter(i *Inventory, turn *store.Turn) *reporter {
	return &reporter{Inventory: i, turn: turn}
}

// run reports until the context ends or the turn may be another's.
func (r *reporter) run(ctx context.Context) {
	r.log.V(1).Info("reports the store")
	// Where the directories cannot be made, the looks that follow say why.
	_ = r.makeWatchedDirs()
	changes := r.store.Changes(r.preheatDir())
	defer changes.Stop()
	due := time.Now()
	timer, rest := time.NewTimer(0), time.NewTimer(r.pace.Rest)
	defer timer.Stop()
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			r.reportLast(ctx)
			return
		case <-changes.Told():
			if soon := time.Now().Add(max(r.pace.Settle, leisure*r.took)); soon.Before(due) {
				due = soon
			}
		case <-r.wake:
			due = time.Now()
		case <-rest.C:
			r.idle()
		case <-timer.C:
			if err := r.makeWatchedDirs(); errors.Is(err, store.ErrGone) || !r.turn.Current() {
				return // the store was deleted
			}
			changes.Renew() // before the look: what changes after it is told
			wait := r.reportChanges(ctx)
			if r.downloading {
				// Of how large it is, and that its writer died, the kernel tells nothing.
				wait = min(wait, max(r.pace.Elect, leisure*r.took))
			} else {
				rest.Reset(r.pace.Rest)
			}
			due = time.Now().Add(wait)
			r.looked()
		}
		timer.Reset(time.Until(due))
	}
}

func (r *reporter) preheatDir() string { return filepath.Join(r.store.Root(), podstate.PreheatDir) }

// makeWatchedDirs makes the directories that are watched where they are missing.
func (r *reporter) makeWatchedDirs() error {
	if _, err := r.store.ID(); err != nil {
		return err
	}
	return os.MkdirAll(r.preheatDir(), 0o755)
}

// reportChanges takes stock, reports what matters, and returns how long to wait before the
// next look.
func (r *reporter) reportChanges(ctx context.Context) time.Duration {
	if !r.canReport() {
		return r.pace.Look
	}
	started := time.Now()
	req, err := r.currentReport()
	r.took = time.Since(started)
	if err != nil {
		r.log.V(1).Info("the store was not looked at", "reason", err.Error())
		return r.pace.Elect
	}
	r.downloading = slices.ContainsFunc(req.GetSnapshots(), func(s *gatewayv1alpha1.StoredSnapshot) bool {
		return s.GetPhase() == gatewayv1alpha1.Phase_PHASE_DOWNLOADING
	})
	now := time.Now()
	if !r.said.IsDue(req, now) {
		return min(r.pace.Look, r.said.until.Sub(now))
	}
	if wait := r.sent.Add(r.pace.Apart).Sub(now); wait > 0 {
		return wait
	}
	return r.sendReport(ctx, req)
}

// canReport reports whether the gateway is there and takes reports.
func (r *reporter) canReport() bool {
	connected, connects := r.connectionState()
	if connects != r.connects {
		r.connects, r.said, r.refused, r.failures = connects, Said{}, false, 0
	}
	return connected && !r.refused
}

// currentReport makes the report of what there is now.
func (r *reporter) currentReport() (*gatewayv1alpha1.ReportStoreRequest, error) {
	stock, err := r.store.Stock()
	if err != nil {
		return nil, err
	}
	users, err := r.pods.Users()
	if err != nil {
		return nil, err
	}
	wanted, err := r.pods.Wanted()
	if err != nil {
		return nil, err
	}
	return NewReport(stock, users, wanted), nil
}

// sendReport returns how long to wait before the next look.
func (r *reporter) sendReport(ctx context.Context, req *gatewayv1alpha1.ReportStoreRequest) time.Duration {
	err := r.report(ctx, req)
	r.sent = time.Now()
	switch code := connect.CodeOf(err); {
	case err == nil:
	case ctx.Err() != nil:
		return 0
	case code == connect.CodeUnimplemented:
		r.refused = true
		r.log.V(1).Info("the gateway takes no reports of stores")
		return r.pace.Look
	case code == connect.CodePermissionDenied, code == connect.CodeInvalidArgument, code == connect.CodeNotFound:
		// The same would meet the same refusal; what comes next may not.
		r.log.Info("report of the store was refused", "reason", err.Error())
	default:
		wait := max(uplink.Pause(r.failures), r.pace.Apart)
		r.failures++
		r.log.V(1).Info("report of the store was not taken", "pause", wait.String(), "reason", err.Error())
		return wait
	}
	r.failures = 0
	r.said = Remember(req, r.sent, r.pace.Repeat)
	return min(r.pace.Look, r.said.until.Sub(r.sent))
}

// reportLast reports what was not reported yet when the process ends, because no other
// process may be left to do it: the pod that brought the data to the node goes when it
// is done.
func (r *reporter) reportLast(ctx context.Context) {
	// The stream of the desired state ends at the same time, so whether the gateway
	// is there is not known.
	r.canReport()
	if r.connects == 0 || r.refused || !r.turn.Current() {
		return
	}
	req, err := r.currentReport()
	if err != nil || !r.said.HasChanged(req) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := r.report(ctx, req); err != nil {
		r.log.V(1).Info("last report of the store was not taken", "reason", err.Error())
	}
}
