// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/why"
	"github.com/kuda-io/kuda/internal/shorten"
)

// nameWidth is that of the longest name at the left, and a gap.
const nameWidth = 12

// look is how a view is to be shown.
type look struct {
	frame.Screen
	now time.Time
	// nodes is how many are listed at most; 0 is all.
	nodes int
	wide  bool
}

// renderView makes the text that shows a view.
func renderView(v *why.View, l look) string {
	fields := &frame.Fields{Screen: l.Screen, NameWidth: nameWidth}
	line := func(name, format string, args ...any) { fields.Add(name, frame.Plain, fmt.Sprintf(format, args...)) }
	line("Pod", "%s in namespace %s", v.Pod, v.Namespace)
	renderPlace(v, line, l.now)
	for i := range v.DataSets {
		renderLines(&v.DataSets[i], line)
	}
	if len(v.Preferences) > 0 {
		words := make([]string, 0, len(v.Preferences))
		for _, p := range v.Preferences {
			words = append(words, p.String())
		}
		line("Preferred", "%s, when it was made", strings.Join(words, ", "))
	}
	name := "Why"
	for _, sentence := range v.Explanation {
		line(name, "%s", sentence)
		name = ""
	}
	name = "Do"
	for _, do := range v.Do {
		if strings.HasPrefix(do, "kubectl ") {
			fields.AddCommand(name, do)
		} else {
			line(name, "%s", do)
		}
		name = ""
	}
	for _, what := range v.Unread {
		fields.Add("Left out", frame.Warning, what)
	}
	var b strings.Builder
	for _, text := range fields.Lines() {
		b.WriteString(text + "\n")
	}
	if len(v.Nodes) > 0 {
		b.WriteString("\n" + strings.Join(tableLines(v, l), "\n") + "\n\n")
		b.WriteString(scoreCaveat(v, l.now) + "\n")
	}
	return b.String()
}

func renderPlace(v *why.View, line func(name, format string, args ...any), now time.Time) {
	if v.Pending == nil {
		text := "on " + v.Node
		if v.PlacedTime != nil {
			text += ", " + formatAge(v.PlacedTime.Time, now) + " ago"
		}
		line("Placed", "%s, by %s; the pod is %s", text, v.Scheduler, cmp.Or(v.Phase, "of no known phase"))
		renderEvents(v.Events, line, now)
		return
	}
	line("Placed", "not yet, by %s", v.Scheduler)
	if reason := strings.Trim(v.Pending.Reason+": "+v.Pending.Message, ": "); reason != "" {
		line("Waits", "%s", reason)
	}
	renderEvents(v.Pending.Events, line, now)
}

func renderEvents(events []why.Event, line func(name, format string, args ...any), now time.Time) {
	for _, e := range events {
		line("Event", "%s, %s ago, by %s: %s", e.Reason, formatAge(e.Time.Time, now), e.From, e.Message)
	}
}

// listedHolders is how many nodes a line names at most.
const listedHolders = 3

// renderLines shows a DataSet and its items.
func renderLines(d *why.DataSet, line func(name, format string, args ...any)) {
	revision := ""
	if d.Revision != "" {
		revision = ", revision " + d.Revision
	}
	line("DataSet", "%s, placement %s%s", d.Name, d.Placement, revision)
	for _, item := range d.Items {
		text := why.ItemTitle(item.Name, item.Version)
		if item.Bytes > 0 {
			text += ", " + bytesize.Text(item.Bytes)
		}
		if len(item.Holders) > 0 {
			text += ", on " + shorten.List(item.Holders, ", ", listedHolders)
		}
		switch item.Phase {
		case "", v1alpha1.DataSuccess:
		case v1alpha1.DataFailed:
			text += "; failed: " + strings.Trim(item.Reason+": "+item.Message, ": ")
		default:
			text += "; " + string(item.Phase)
		}
		line("  Item", "%s", text)
	}
}

// tableLines has a line per node. The columns in small letters are what each
// dimension adds to the score; they have the names that --weights takes.
func tableLines(v *why.View, l look) []string {
	t := &frame.Table{Header: []string{
		"", "NODE", "HELD", "MISSING", "DOWNLOADS", "ROOM", "SCORE", "AGAINST", "node", "rack", "zone", "downloads", "cache", "spread",
	}}
	rest := 0
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if l.nodes > 0 && len(t.Rows) >= l.nodes && !n.Chosen {
			rest++
			continue
		}
		mark, tone := "", frame.Plain
		if n.Chosen {
			mark, tone = "*", frame.Strong
		}
		t.Add(frame.Toned(tone, mark), frame.Toned(tone, n.Name), heldCell(v, n), frame.Text(missingText(n, l.wide)),
			frame.Text(strconv.Itoa(n.Downloads)), frame.Text(roomText(n)), frame.Toned(frame.Strong, strconv.FormatInt(n.Score, 10)),
			frame.Toned(frame.Warning, strings.Join(n.Against, "; ")),
			pointsCell(n.Points.Node), pointsCell(n.Points.Rack), pointsCell(n.Points.Zone), pointsCell(n.Points.Downloads),
			cachePoints(v, n), pointsCell(n.Points.Spread))
	}
	lines := t.Lines(l.Screen)
	if rest > 0 {
		lines = append(lines, l.Paint(frame.Faint, fmt.Sprintf("and %d more; --nodes 0 lists all", rest)))
	}
	return lines
}

func heldCell(v *why.View, n *why.Node) frame.Cell {
	text, tone := bytesize.Text(n.HeldBytes), frame.Plain
	if v.TotalBytes > 0 {
		text += fmt.Sprintf(" %d%%", int64(float64(n.HeldBytes)/float64(v.TotalBytes)*100))
	}
	if n.DownloadingBytes > 0 {
		text += ", " + bytesize.Text(n.DownloadingBytes) + " coming"
	}
	if n.CachedBytes > 0 {
		text += ", " + bytesize.Text(n.CachedBytes) + " in a cache"
	}
	if len(n.Missing) == 0 {
		tone = frame.Good
	}
	return frame.Toned(tone, text)
}

func missingText(n *why.Node, wide bool) string {
	switch {
	case len(n.Missing) == 0:
		return "-"
	case wide || len(n.Missing) == 1:
		return strings.Join(n.Missing, ", ")
	}
	return fmt.Sprintf("%d items", len(n.Missing))
}

func roomText(n *why.Node) string {
	if n.RoomBytes == nil {
		return "?"
	}
	return bytesize.Text(*n.RoomBytes)
}

func pointsCell(points float64) frame.Cell {
	return frame.Text(strconv.FormatFloat(points, 'g', -1, 64))
}

// cachePoints is empty where caches do not count.
func cachePoints(v *why.View, n *why.Node) frame.Cell {
	if v.Weights.Cache == 0 {
		return frame.Text("")
	}
	return pointsCell(n.Points.Cache)
}

// scoreCaveat says what the scores are not.
func scoreCaveat(v *why.View, now time.Time) string {
	w := v.Weights
	cache := ""
	if w.Cache > 0 {
		cache = fmt.Sprintf("cache=%g,", w.Cache)
	}
	text := fmt.Sprintf("Scores are computed from what is known now, with the weights node=%g,rack=%g,zone=%g,downloads=%g,%sspread=%g",
		w.Node, w.Rack, w.Zone, w.Downloads, cache, w.Spread)
	if v.PlacedTime != nil {
		text += fmt.Sprintf(", while the pod was placed at %s, %s ago", v.PlacedTime.UTC().Format(time.RFC3339),
			formatAge(v.PlacedTime.Time, now))
	}
	return text + ".\nThey speak of data alone: schedulers also weigh resources, other pods and what the pod prefers."
}

func formatAge(t, now time.Time) string { return duration.HumanDuration(max(now.Sub(t), 0)) }
