// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/delivery/agent/plan"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/view"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// laterGrace is how long the application's port may be closed when it has been
// delivered to before: long enough for a restart.
const laterGrace = time.Minute

// preHooks runs what is to run before the first byte.
func (d *delivery) preHooks(ctx context.Context) error {
	if len(d.plan.Pre) == 0 {
		return nil
	}
	return d.runHooks(ctx, d.plan.Pre, func() {})
}

// postHooks runs what is to run after the switch. Items become success one by
// one, when nothing more is to be run for them.
func (d *delivery) postHooks(ctx context.Context) error {
	if len(d.plan.Post) == 0 {
		return nil
	}
	d.showPending()
	return d.runHooks(ctx, d.plan.Post, d.showPending)
}

// showPending shows which items still wait for hooks after the switch. An item
// whose hook failed says so until that hook is done.
func (d *delivery) showPending() {
	w := d.worker
	waits, whole := map[podstate.ItemKey]bool{}, false
	for _, h := range d.plan.Post {
		if !w.record.Done(h.ID, h.Mark) {
			waits[h.Key], whole = true, whole || h.Key == ""
			continue
		}
		if h.ID == w.failedHook {
			w.failedHook = ""
		}
	}
	w.updateStatus(func(s *status.DataSet) {
		for i, ip := range d.plan.Items {
			item := &s.Items[i]
			switch {
			case !waits[ip.Key] && (!whole || !ip.Noticed):
				item.SetPhase(status.PhaseSuccess, "", "")
			case item.Reason == status.ReasonHookFailed && w.failedHook != "":
			case item.Reason != status.ReasonHookPending:
				item.SetPhase(status.PhaseDownloading, status.ReasonHookPending, "in the view; a hook is to run")
			}
		}
	})
}

// journal shows what is done, and remembers it in the record.
type journal struct {
	record *podstate.Record
	done   func()
}

// Done reports whether the hook succeeded with this mark. It implements hook.Journal.
func (j journal) Done(id, mark string) bool { return j.record.Done(id, mark) }

// Record implements hook.Journal.
func (j journal) Record(id, mark string) error {
	err := j.record.Record(id, mark)
	if err == nil {
		j.done()
	}
	return err
}

func (d *delivery) runHooks(ctx context.Context, hooks []plan.Hook, done func()) error {
	w := d.worker
	steps := make([]hook.Step, 0, len(hooks))
	for _, h := range hooks {
		steps = append(steps, hook.Step{ID: h.ID, Mark: h.Mark, Action: d.hookAction(h)})
	}
	policy := w.env.Hooks
	if !d.first && policy.StartGrace == 0 {
		policy.StartGrace = laterGrace
	}
	return hook.Run(ctx, policy, journal{w.record, done}, steps, func(id string, err error) {
		w.log.V(1).Info("hook has not been done yet", "hook", id, "reason", err.Error())
		w.updateStatus(func(s *status.DataSet) {
			for _, i := range d.hookItems(id, hooks) {
				item := &s.Items[i]
				if item.Phase != status.PhaseSuccess && item.Reason != status.ReasonHookFailed {
					item.SetPhase(item.Phase, status.ReasonHookPending, "hook "+id+": "+err.Error())
				}
			}
		})
	})
}

// hookItems returns the indexes of the items that a hook speaks of; those that
// have changed when it is the assignment's own.
func (d *delivery) hookItems(id string, hooks []plan.Hook) []int {
	var key podstate.ItemKey
	for _, h := range hooks {
		if h.ID == id {
			key = h.Key
		}
	}
	var out []int
	for i, ip := range d.plan.Items {
		if ip.Key == key || key == "" && ip.Noticed {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		for i := range d.plan.Items {
			out = append(out, i)
		}
	}
	return out
}

func (d *delivery) hookAction(h plan.Hook) hook.Action {
	if get := h.Hook.GetHttpGet(); get != nil {
		headers := http.Header{}
		for _, header := range get.GetHeaders() {
			headers.Add(header.GetName(), header.GetValue())
		}
		return &hook.HTTPGet{Port: int(get.GetPort()), Path: get.GetPath(), TLS: get.GetScheme() == "HTTPS", Headers: headers}
	}
	req := &gatewayv1alpha1.RunHookRequest{Data: d.assignment.GetData(), Revision: d.assignment.GetRevision(),
		ItemNamespace: h.Item.GetNamespace(), ItemName: h.Item.GetName(), Point: h.Point}
	return hook.ActionFunc(func(ctx context.Context) (string, error) {
		resp, err := d.worker.env.Gateway.RunHook(ctx, req)
		switch {
		case err != nil && ctx.Err() != nil:
			return "", err
		case err != nil && canWait(connect.CodeOf(err)):
			return "", fmt.Errorf("%w: %w", hook.ErrPending, err)
		case err != nil:
			return "", err
		case resp.GetExitCode() != 0:
			return validUTF8(resp.GetOutput()), fmt.Errorf("exit status %d", resp.GetExitCode())
		}
		return "", nil
	})
}

// canWait reports whether an answer says nothing about the hook: its container
// does not run yet, the gateway is away, or something newer is on its way here.
func canWait(code connect.Code) bool {
	switch code {
	case connect.CodeFailedPrecondition, connect.CodeUnavailable, connect.CodeAborted, connect.CodeNotFound,
		connect.CodeUnauthenticated, connect.CodeResourceExhausted, connect.CodeCanceled, connect.CodeUnknown:
		return true
	default:
		return false
	}
}

// hookFailed takes the revision back when there is one to go back to, and
// shows the failure.
func (d *delivery) hookFailed(ctx context.Context, err error) time.Duration {
	w, revision := d.worker, d.assignment.GetRevision()
	failed, ok := errors.AsType[*hook.FailedError](err)
	if !ok {
		if !errors.Is(err, errNewer) && !errors.Is(err, context.Canceled) {
			w.log.Error(err, "hooks were not run")
		}
		return w.recordFailure("", status.ReasonStoreFailed)
	}
	hooks := slices.Concat(d.plan.Pre, d.plan.Post)
	f := &podstate.FailedRevision{Revision: revision, Message: "hook " + failed.ID + " " + failed.Error()}
	for _, i := range d.hookItems(failed.ID, hooks) {
		f.Items = append(f.Items, d.plan.Items[i].Key)
	}
	w.env.Metrics.CountFailure(status.ReasonHookFailed)
	current, _ := w.env.View.Current(w.dataset)
	var again []plan.Hook
	if current == revision {
		w.viewing.Lock()
		reverted, err := w.env.View.Revert(w.dataset)
		w.viewing.Unlock()
		if err != nil {
			if !errors.Is(err, view.ErrNoPrevious) {
				w.log.Error(err, "view stays at the failed revision")
			}
			w.log.Info("hook failed; the data stays, the hook is tried again", "hook", failed.ID, "error", failed.Error())
			w.failedHook = failed.ID
			w.updateStatus(func(s *status.DataSet) { s.ShowFailure(f) })
			return w.recordFailure(failed.ID, status.ReasonHookFailed)
		}
		current = reverted
		again = d.forgetNotices(current, failed.ID)
		w.log.Info("hook failed; the view went back", "hook", failed.ID, "error", failed.Error(), "failed", revision, "revision", reverted)
	}
	w.record.Failed = f
	if err := w.record.Save(); err != nil {
		w.log.Error(err, "failed revision was not remembered")
	}
	w.updateStatus(func(s *status.DataSet) { s.Revision = current })
	w.showHeld(f)
	w.env.Tidy()
	d.notifyAgain(ctx, again, current)
	return 0
}

// forgetNotices makes the journal say that the application was not told of
// what it sees again now, where it was told of what came after it. It returns
// those hooks.
func (d *delivery) forgetNotices(current, failedID string) []plan.Hook {
	w := d.worker
	sees := d.seenAt(current)
	var again []plan.Hook
	for _, h := range d.plan.Told {
		last := w.record.Hooks[h.ID]
		if last != "" && last != sees(h) || h.ID == failedID && h.Mark != sees(h) {
			delete(w.record.Hooks, h.ID)
			again = append(again, h)
		}
	}
	return again
}

// seenAt returns what each hook's mark is at a revision that was delivered.
func (d *delivery) seenAt(revision string) func(plan.Hook) string {
	items := d.worker.record.Revisions[revision].Items
	whole := plan.AssignmentMark(slices.Collect(maps.Values(plan.PlacesOf(items))))
	return func(h plan.Hook) string {
		if h.Key == "" {
			return whole
		}
		return plan.NoticeMark(items[h.Key].Mark, items[h.Key].LocalPath)
	}
}

// notifyAgain tells the application, once and as well as it goes, of the
// revision that it sees again: it may have taken up one that came after it.
func (d *delivery) notifyAgain(ctx context.Context, hooks []plan.Hook, current string) {
	w := d.worker
	sees := d.seenAt(current)
	for _, h := range hooks {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		output, err := d.hookAction(h).Run(ctx)
		cancel()
		if err != nil {
			w.log.Info("hook failed after going back", "hook", h.ID, "error", err.Error(), "output", output)
			continue
		}
		if err := w.record.Record(h.ID, sees(h)); err != nil {
			w.log.Error(err, "hook was not remembered")
		}
	}
}

func validUTF8(s string) string { return strings.ToValidUTF8(s, "�") }
