// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/cli/frame"
)

const (
	// beat is how often times and rates are shown anew where nothing changes.
	beat = time.Second
	// breath is the least time from one picture to the next.
	breath = 200 * time.Millisecond
)

// display shows one view after the other.
type display interface {
	showView(v *View, trouble string)
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
	f := newFollower(ctx, c, types.NamespacedName{Namespace: first.DataSet.Namespace, Name: name})
	return s.runDisplay(ctx, f, *first, show, over)
}

func (s *command) runDisplay(ctx context.Context, f *follower, in Input, show display, over <-chan time.Time) error {
	var meter Meter
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	fresh := s.Now()
	for {
		if f.hasSynced() {
			if in.DataSet, in.Data = f.currentObjects(); in.DataSet == nil {
				return &frame.Exit{Code: frame.ExitNegative, Cause: fmt.Errorf("DataSet %s was deleted", f.key.Name)}
			}
		}
		in.Now = s.Now()
		trouble := f.problemLine(in.Now, fresh)
		if trouble == "" {
			fresh = in.Now
		}
		view := Build(in)
		meter.Measure(&view, in.Now)
		show.showView(&view, trouble)
		if view.ended && !s.keep {
			return rolloutError(&view)
		}
		if err := s.waitForChange(ctx, f, ticker, over, &view); err != nil {
			return err
		}
	}
}

// waitForChange waits until there may be something new to show.
func (s *command) waitForChange(ctx context.Context, f *follower, ticker *time.Ticker, over <-chan time.Time, v *View) error {
	late := &frame.Exit{Code: frame.ExitTimeout, Cause: fmt.Errorf("the rollout of DataSet %s has not ended within %s (%s)", v.Name,
		s.timeout, rolloutWord(v))}
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
	case <-f.changed:
	case <-ticker.C:
	}
	return nil
}

func rolloutError(v *View) error {
	if v.failed {
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

func (p *pictures) showView(v *View, trouble string) {
	screen := p.Screen()
	lines := Render(v, Look{Screen: screen, Now: p.Now(), Pods: p.livePods(), Wide: p.output.Wide(), Bars: true})
	if trouble != "" {
		lines = append(lines, screen.Paint(frame.Warning, fitWidth(trouble, screen.Width)))
	}
	// The cursor's own line is the last.
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
	last    *View
	trouble string
}

func (p *protocol) showView(v *View, trouble string) {
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
