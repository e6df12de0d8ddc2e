// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
)

// Look is how a view is to be shown.
type Look struct {
	Screen frame.Screen
	Now    time.Time
	// Pods is how many pods are listed at most; 0 is all.
	Pods int
	// Wide shows every item.
	Wide bool
	// Bars draws progress as bars.
	Bars bool
}

const (
	barNarrow   = 10
	barWide     = 24
	wideTerm    = 140
	narrowTerm  = 80
	livePadding = 3
)

// Render makes the lines that show a view.
func Render(v *View, l Look) []string {
	head := headerTable(v, l)
	lines := head.Lines(l.Screen)
	if len(v.Pods) == 0 {
		return lines
	}
	return append(append(lines, ""), podLines(v, l, len(lines))...)
}

func headerTable(v *View, l Look) *frame.Table {
	t := &frame.Table{Header: []string{"", ""}}
	line := func(name string, tone frame.Tone, format string, args ...any) {
		t.Add(frame.Toned(frame.Faint, name), frame.Toned(tone, fmt.Sprintf(format, args...)))
	}
	line("DataSet", frame.Strong, "%s in namespace %s", v.Name, v.Namespace)
	line("Rollout", phaseTone(v.Phase), "%s", rolloutLine(v, l.Now))
	line("Revision", frame.Plain, "%s", markLine(v.Update, v.Name))
	if v.Stable.Name != v.Update.Name && v.Stable.Name != "" {
		line("Stable", frame.Plain, "%s", markLine(v.Stable, v.Name))
	}
	line("Pods", frame.Plain, "%s", countLine(v))
	if v.Moving.Total > 0 {
		line("Bytes", frame.Plain, "%s", progressLine(v.Moving))
	}
	if p := v.Preheat; p != nil {
		line("Preheat", preheatTone(p), "%s", preheatLine(p, v, l.Now))
		for i := range p.Nodes {
			if n := &p.Nodes[i]; l.Wide {
				line("", frame.Plain, "%s: %s", n.Node, preheatNode(n))
			}
		}
	}
	if v.Waits != "" {
		line("Waits for", frame.Plain, "%s", v.Waits)
	}
	if v.Deadline != nil {
		line("Deadline", frame.Plain, "fails in %s unless a pod comes further", duration.HumanDuration(max(v.Deadline.Sub(l.Now), 0)))
	}
	if v.Message != "" && v.Message != v.Waits {
		line("Message", phaseTone(v.Phase), "%s", v.Message)
	}
	for _, a := range v.Alerts {
		if a.Message != v.Message {
			line(a.Type, frame.Warning, "%s: %s", a.Reason, a.Message)
		}
	}
	return t
}

func rolloutLine(v *View, now time.Time) string {
	text := string(cmp.Or(v.Phase, "none yet"))
	if v.Reason != "" && v.failed {
		text += " (" + v.Reason + ")"
	}
	switch {
	case v.StartTime == nil:
	case v.EndTime != nil:
		text += fmt.Sprintf(", took %s, ended %s ago", duration.HumanDuration(v.EndTime.Sub(v.StartTime.Time)),
			duration.HumanDuration(now.Sub(v.EndTime.Time)))
	default:
		text += ", for " + duration.HumanDuration(now.Sub(v.StartTime.Time))
	}
	if v.Step != nil {
		text += fmt.Sprintf(", step %d of %d (%s)", v.Step.Index, v.Step.Of, v.Step.Kind)
	}
	if v.Paused {
		text += ", paused"
	}
	return text
}

func markLine(m Mark, dataset string) string {
	if m.Name == "" {
		return "none yet"
	}
	text := m.Label(dataset)
	if m.Number > 0 {
		text += " (" + m.Name + ")"
	}
	if m.By != "" {
		text += " by " + m.By
	}
	if m.Cause != "" {
		text += ": " + m.Cause
	}
	return text
}

func countLine(v *View) string {
	words := make([]string, 0, len(v.Counts))
	for _, c := range v.Counts {
		words = append(words, fmt.Sprintf("%d %s", c.Pods, c.State))
	}
	if len(words) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d: %s", len(v.Pods), strings.Join(words, ", "))
}

// podLines lists pods, and says what those that have no room are.
func podLines(v *View, l Look, above int) []string {
	room := podRoom(l, above)
	itemized := l.Wide || l.Bars && itemsFit(v, room)
	t := &frame.Table{Header: podHeader(l)}
	shown := 0
	for i := range v.Pods {
		p := &v.Pods[i]
		// The last line is the one that sums up.
		if room > 0 && shown > 0 && len(t.Rows) >= room-1 && len(v.Pods)-shown > 1 {
			break
		}
		t.Add(podRow(p, l)...)
		shown++
		if itemized && (l.Wide || needsItems(p)) {
			for j := range p.Items {
				t.Add(itemRow(&p.Items[j], l)...)
			}
		}
	}
	lines := t.Lines(l.Screen)
	if rest := v.Pods[shown:]; len(rest) > 0 {
		lines = append(lines, l.Screen.Paint(frame.Faint, fitWidth(restLine(rest), l.Screen.Width)))
	}
	return lines
}

// podRoom returns how many lines the pods may take; 0 for any number.
func podRoom(l Look, above int) int {
	if !l.Bars || l.Screen.Height <= 0 {
		return l.Pods
	}
	room := max(l.Screen.Height-above-livePadding, 1)
	if l.Pods > 0 {
		room = min(room, l.Pods)
	}
	return room
}

// needsItems reports whether a pod's line alone does not say which item it waits for.
func needsItems(p *Pod) bool {
	return (p.State.isMoving() || p.State == Failed) && len(p.Items) > 1
}

func itemsFit(v *View, room int) bool {
	if room == 0 {
		return true
	}
	need := 0
	for i := range v.Pods {
		if p := &v.Pods[i]; p.State.isMoving() || p.State == Failed {
			need += 1 + len(p.Items)
		}
	}
	return need < room
}

func restLine(rest []Pod) string {
	counts := map[State]int{}
	for _, p := range rest {
		counts[p.State]++
	}
	var words []string
	for _, state := range order {
		if counts[state] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	return fmt.Sprintf("and %d more: %s", len(rest), strings.Join(words, ", "))
}

func fitWidth(text string, width int) string {
	if width == 0 {
		return text
	}
	return frame.Cut(text, width)
}

// isNarrow reports whether the terminal has no room for the node.
func (l Look) isNarrow() bool { return l.Screen.Width > 0 && l.Screen.Width < narrowTerm }

func podHeader(l Look) []string {
	if l.isNarrow() {
		return []string{"POD", "REVISION", "STATE", "PROGRESS", "MESSAGE"}
	}
	return []string{"POD", "NODE", "REVISION", "STATE", "PROGRESS", "MESSAGE"}
}

func podRow(p *Pod, l Look) []frame.Cell {
	revision := p.Revision
	if p.Sees != "" {
		revision = p.Sees + " → " + revision
	}
	cells := []frame.Cell{frame.Text(p.Name), frame.Text(p.Node), frame.Text(revision),
		frame.Toned(stateTone(p.State), string(p.State)), frame.Text(progressCell(p.Progress, p.State.isMoving(), l)), frame.Text(p.Message)}
	return narrowCells(cells, l)
}

func itemRow(i *Item, l Look) []frame.Cell {
	message := i.Message
	if message == "" || i.Phase != v1alpha1.DataFailed {
		message = i.Reason
	}
	if message == "" && i.Origin != "" {
		message = "from " + string(i.Origin)
	}
	cells := []frame.Cell{frame.Text("  " + i.Name), frame.Text(""), frame.Text(i.Version),
		frame.Toned(phaseOfItem(i.Phase), string(i.Phase)), frame.Text(progressCell(i.Progress, i.Phase == v1alpha1.DataDownloading, l)),
		frame.Text(message)}
	return narrowCells(cells, l)
}

func narrowCells(cells []frame.Cell, l Look) []frame.Cell {
	if l.isNarrow() {
		return append(cells[:1:1], cells[2:]...)
	}
	return cells
}

// progressCell shows how far it is: of what moves as a share, a bar where one
// is wanted, the rate and the time left; of what is there the size.
func progressCell(p Progress, moving bool, l Look) string {
	if p.Total == 0 {
		return ""
	}
	if !moving {
		return bytesize.Text(p.Bytes)
	}
	text := fmt.Sprintf("%3d%% of %s", percentDone(p), bytesize.Text(p.Total))
	if l.Bars {
		width := barNarrow
		if l.Screen.Width >= wideTerm {
			width = barWide
		}
		text = progressBar(p, width) + " " + text
	}
	if p.Rate > 0 {
		text += " " + bytesize.Text(p.Rate) + "/s"
	}
	if p.Left > 0 {
		text += " " + duration.HumanDuration(time.Duration(p.Left)*time.Second)
	}
	return text
}

func progressLine(p Progress) string {
	text := fmt.Sprintf("%s of %s in the pods that move", bytesize.Text(p.Bytes), bytesize.Text(p.Total))
	if p.Rate > 0 {
		text += ", " + bytesize.Text(p.Rate) + "/s"
	}
	if p.Left > 0 {
		text += ", " + duration.HumanDuration(time.Duration(p.Left)*time.Second) + " left"
	}
	return text
}

// percentDone returns the progress in percent; 100 only when all is there.
func percentDone(p Progress) int64 {
	if p.Bytes >= p.Total {
		return 100
	}
	return int64(float64(p.Bytes) / float64(p.Total) * 100)
}

func progressBar(p Progress, width int) string {
	full := int(percentDone(p)) * width / 100
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

func phaseTone(p v1alpha1.RolloutPhase) frame.Tone {
	switch p {
	case v1alpha1.RolloutCompleted:
		return frame.Good
	case v1alpha1.RolloutStopped, v1alpha1.RolloutRolledBack, v1alpha1.RolloutRollingBack:
		return frame.Bad
	}
	return frame.Plain
}

func stateTone(s State) frame.Tone {
	switch {
	case s == Failed:
		return frame.Bad
	case s == Updated:
		return frame.Good
	case s.isMoving() || s == Connecting:
		return frame.Warning
	}
	return frame.Plain
}

func phaseOfItem(p v1alpha1.DataPhase) frame.Tone {
	switch p {
	case v1alpha1.DataFailed:
		return frame.Bad
	case v1alpha1.DataDownloading:
		return frame.Warning
	}
	return frame.Plain
}
