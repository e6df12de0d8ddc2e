// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/domain/verdict"
	"github.com/kuda-io/kuda/internal/insight/status"
)

const (
	// beat is how often times and rates are shown anew where nothing changes.
	beat = time.Second
	// breath is the least time from one picture to the next.
	breath = 200 * time.Millisecond
)

// display shows one view after the other.
type display interface {
	begin(d *v1alpha1.DataSet)
	showView(v *status.View, trouble string)
	// end prints the result below the last view.
	end(v *status.View, result string)
	close()
}

// followRollout shows the rollout until it ends.
func (s *command) followRollout(parent context.Context, name string) error {
	// What is wrong with the name, the rights or the cluster is said at once.
	first, err := s.readInput(parent, name)
	if err != nil {
		return err
	}
	c, err := s.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var over <-chan time.Time
	if s.timeout > 0 {
		timer := time.NewTimer(s.timeout)
		defer timer.Stop()
		over = timer.C
	}
	show := s.newDisplay()
	defer show.close()
	show.begin(first.DataSet)
	key := types.NamespacedName{Namespace: first.DataSet.Namespace, Name: name}
	return s.runDisplay(ctx, status.Follow(ctx, c, key, len(first.Unread) == 0), *first, show, over)
}

func (s *command) runDisplay(ctx context.Context, f *status.Follower, in status.Input, show display, over <-chan time.Time) error {
	var meter status.Meter
	var patience verdict.Patience
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	fresh := s.Now()
	for {
		if err := f.Refresh(ctx, &in); errors.Is(err, status.ErrDeleted) {
			return &frame.Exit{Code: frame.ExitNegative, Cause: err}
		} else if err != nil {
			return err
		}
		in.Now = s.Now()
		trouble := f.Problem(in.Now, fresh)
		if trouble == "" {
			fresh = in.Now
		}
		view := status.Build(in)
		view.Verdict = patience.Weigh(in.DataSet, view.Verdict, in.Now)
		meter.Measure(&view, in.Now)
		show.showView(&view, trouble)
		if result := s.result(&view); result != "" && !s.keep {
			show.end(&view, result)
			return rolloutError(&view)
		}
		if err := s.waitForChange(ctx, f, ticker, over, &view); err != nil {
			return err
		}
	}
}

// result returns the last line that is printed, without its beginning, or nothing while
// there is something to wait for.
func (s *command) result(v *status.View) string {
	switch v.Verdict.State {
	case verdict.Done:
		return fmt.Sprintf("delivered: revision %s: %s", v.Update.Label(v.Name), v.Verdict.Message)
	case verdict.Failed:
		return fmt.Sprintf("failed: revision %s: %s%s", v.Update.Label(v.Name), cause(v), firstItem(v))
	case verdict.NoPods:
		if s.noPods {
			return "no pods: " + v.Verdict.Message
		}
	}
	return ""
}

// firstItem names the first item that failed, where the verdict speaks of pods alone.
func firstItem(v *status.View) string {
	f := v.Failure
	if f == nil || f.Item == "" || strings.Contains(v.Verdict.Message, f.Item) {
		return ""
	}
	return fmt.Sprintf("; pod %s, item %s: %s: %s", f.Pod, f.Item, f.Reason, f.Message)
}

// revisionLead names the revision that the view speaks of, before what follows the word;
// nothing while the one of the present spec is not known.
func revisionLead(v *status.View, word string) string {
	if v.Verdict.State == verdict.Unobserved || v.Update.Name == "" {
		return ""
	}
	return "revision " + v.Update.Label(v.Name) + word
}

// cause returns reason and message of the verdict.
func cause(v *status.View) string {
	if v.Verdict.Reason == "" {
		return v.Verdict.Message
	}
	return v.Verdict.Reason + ": " + v.Verdict.Message
}

// waitForChange waits until there may be something new to show.
func (s *command) waitForChange(ctx context.Context, f *status.Follower, ticker *time.Ticker, over <-chan time.Time, v *status.View) error {
	late := &frame.Exit{Code: frame.ExitTimeout, Cause: fmt.Errorf("DataSet %s was not delivered within %s: %s%s: %s", v.Name,
		s.timeout, revisionLead(v, " is "), v.Phase, cause(v))}
	pause := time.NewTimer(breath)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-over:
		return late
	case <-pause.C:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-over:
		return late
	case <-f.Changed():
	case <-ticker.C:
	}
	return nil
}

func rolloutError(v *status.View) error {
	if v.HasFailed() {
		return frame.Negative()
	}
	return nil
}

func (s *command) newDisplay() display {
	if s.Screen().Live {
		p := &pictures{command: s, canvas: canvas{out: s.Out}}
		p.canvas.hideCursor()
		return p
	}
	return &protocol{command: s}
}

// pictures draws each view over the one before.
type pictures struct {
	*command
	canvas canvas
}

func (p *pictures) begin(*v1alpha1.DataSet) {}

func (p *pictures) end(v *status.View, result string) { p.printResult(v, result) }

func (p *pictures) showView(v *status.View, trouble string) {
	screen := p.Screen()
	lines := Render(v, Look{Screen: screen, Now: p.Now(), Pods: p.livePods(), Wide: p.output.Wide(), Bars: true})
	if trouble != "" {
		lines = append(lines, screen.Paint(frame.Warning, fitWidth(trouble, screen.Width)))
	}
	if limit := screen.Height - 1; len(lines) > limit {
		lines = lines[:limit]
	}
	p.canvas.drawLines(lines, screen.Width)
}

// livePods is the limit beside that of the screen.
func (p *pictures) livePods() int {
	if p.pods == defaultPods {
		return 0
	}
	return p.pods
}

func (p *pictures) close() { p.canvas.showCursor() }

// protocol prints what changed, a line each.
type protocol struct {
	*command
	last    *status.View
	trouble string
}

// begin prints the first line. It is the same whatever the manager has done by then, so
// that scripts and their readers can rely on it.
func (p *protocol) begin(d *v1alpha1.DataSet) {
	fmt.Fprintf(p.Out, "dataset/%s: waiting for the delivery of generation %d\n", d.Name, d.Generation)
}

func (p *protocol) end(v *status.View, result string) { p.printResult(v, result) }

func (p *protocol) showView(v *status.View, trouble string) {
	at := p.Now().Format(time.TimeOnly)
	for _, line := range describeChanges(p.last, v) {
		fmt.Fprintf(p.Out, "%s %s: %s\n", at, v.Name, line)
	}
	if trouble != "" && p.trouble == "" {
		fmt.Fprintf(p.Out, "%s %s: %s\n", at, v.Name, trouble)
	}
	p.last, p.trouble = v, trouble
}

func (p *protocol) close() {}

// printResult prints the last line.
func (s *command) printResult(v *status.View, result string) {
	fmt.Fprintf(s.Out, "dataset/%s: %s\n", v.Name, frame.OneLine(result))
}
