// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/status"
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
	// leastPods is how many lines are kept for the list of pods.
	leastPods = 4
)

// nameWidth is that of the longest name in the head, and a gap.
const nameWidth = 12

// Render makes the lines that show a view. Those of the head, and of the first failed
// pod, are wrapped; those of the list are cut.
func Render(v *status.View, l Look) []string {
	lines := upperLines(v, l)
	if len(v.Pods) > 0 {
		lines = append(append(lines, ""), podLines(v, l, len(lines))...)
	}
	// What is drawn in place must not scroll; the cursor's own line is the last.
	if limit := l.Screen.Height - 1; l.Bars && limit > 0 && len(lines) > limit {
		lines = lines[:limit]
	}
	return lines
}

// upperLines are those above the list of pods. A screen that is drawn in place may be too
// low for all of it; then what can be looked up elsewhere goes first.
func upperLines(v *status.View, l Look) []string {
	head := headLines(v, l, false)
	if v.Failure == nil {
		if l.hasRoomBelow(len(head)) {
			return head
		}
		return headLines(v, l, true)
	}
	brief := *v.Failure
	brief.Why, brief.Do = "", nil
	for _, lines := range [][]string{
		slices.Concat(head, []string{""}, failureLines(v.Failure, l)), slices.Concat(head, []string{""}, failureLines(&brief, l)),
		slices.Concat(headLines(v, l, true), []string{""}, failureLines(&brief, l)),
	} {
		if l.hasRoomBelow(len(lines)) {
			return lines
		}
	}
	return headLines(v, l, true)
}

// hasRoomBelow reports whether the first pods fit below so many lines.
func (l Look) hasRoomBelow(lines int) bool {
	return !l.Bars || l.Screen.Height <= 0 || lines+1+leastPods < l.Screen.Height
}

// headLines speak of the DataSet as a whole; with cut each is one line.
func headLines(v *status.View, l Look, cut bool) []string {
	fields := &frame.Fields{Screen: l.Screen, NameWidth: nameWidth, Cut: cut}
	line := func(name string, tone frame.Tone, format string, args ...any) {
		fields.Add(name, tone, fmt.Sprintf(format, args...))
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
		if p.Cache != nil {
			line("Caches", preheatCacheTone(p.Cache), "%s", preheatCacheLine(p.Cache))
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
	for _, what := range v.Unread {
		line("Left out", frame.Warning, "%s", what)
	}
	return fields.Lines()
}

// failureLines shows the failure of one pod whole.
func failureLines(f *status.Failure, l Look) []string {
	fields := &frame.Fields{Screen: l.Screen, NameWidth: nameWidth}
	where := "pod " + f.Pod
	if f.Node != "" {
		where += " on " + f.Node
	}
	fields.Add("Failed", frame.Strong, where)
	if f.Item != "" {
		fields.Add("Item", frame.Plain, strings.TrimSpace(f.Item+" "+f.Version))
	}
	if f.Path != "" {
		fields.Add("Path", frame.Plain, f.Path)
	}
	switch {
	case f.Reason == "":
		fields.Add("Cause", frame.Bad, f.Message)
	case f.Message == "":
		fields.Add("Cause", frame.Bad, f.Reason)
	default:
		fields.Add("Cause", frame.Bad, f.Reason+": "+f.Message)
	}
	if f.Why != "" {
		fields.Add("Why", frame.Plain, f.Why)
	}
	name := "Do"
	for _, do := range f.Do {
		if strings.HasPrefix(do, "kubectl ") {
			fields.AddCommand(name, do)
		} else {
			fields.Add(name, frame.Plain, do)
		}
		name = ""
	}
	return fields.Lines()
}

func rolloutLine(v *status.View, now time.Time) string {
	text := string(cmp.Or(v.Phase, "none yet"))
	if v.Reason != "" && v.HasFailed() {
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

func markLine(m status.Mark, dataset string) string {
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

func countLine(v *status.View) string {
	words := make([]string, 0, len(v.Counts))
	for _, c := range v.Counts {
		words = append(words, fmt.Sprintf("%d %s", c.Pods, c.State))
	}
	text := "none"
	switch {
	case len(v.Unread) > 0 && len(words) == 0:
		text = "not listed"
	case len(words) > 0:
		text = fmt.Sprintf("%d: %s", len(v.Pods), strings.Join(words, ", "))
	}
	if v.Ready != "" {
		text += "; " + v.Ready + " have their data"
	}
	return text
}

// podLines lists pods, and says what those that have no room are.
func podLines(v *status.View, l Look, above int) []string {
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
func needsItems(p *status.Pod) bool {
	return (p.State.IsMoving() || p.State == status.Failed) && len(p.Items) > 1
}

func itemsFit(v *status.View, room int) bool {
	if room == 0 {
		return true
	}
	need := 0
	for i := range v.Pods {
		if p := &v.Pods[i]; p.State.IsMoving() || p.State == status.Failed {
			need += 1 + len(p.Items)
		}
	}
	return need < room
}

func restLine(rest []status.Pod) string {
	counts := map[status.State]int{}
	for _, p := range rest {
		counts[p.State]++
	}
	var words []string
	for _, state := range status.States() {
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

func podRow(p *status.Pod, l Look) []frame.Cell {
	revision := p.Revision
	if p.Sees != "" {
		revision = p.Sees + " → " + revision
	}
	cells := []frame.Cell{frame.Text(p.Name), frame.Text(p.Node), frame.Text(revision),
		frame.Toned(stateTone(p.State), string(p.State)), frame.Text(progressCell(p.Progress, p.State.IsMoving(), l)), frame.Text(p.Message)}
	return narrowCells(cells, l)
}

func itemRow(i *status.Item, l Look) []frame.Cell {
	message := i.Message
	if message == "" || i.Phase != v1alpha1.DataFailed {
		message = i.Reason
	}
	if message == "" && i.Origin != "" {
		message = "from " + string(i.Origin) + cacheShare(i.Cache)
	}
	cells := []frame.Cell{frame.Text("  " + i.Name), frame.Text(""), frame.Text(i.Version),
		frame.Toned(phaseOfItem(i.Phase), string(i.Phase)), frame.Text(progressCell(i.Progress, i.Phase == v1alpha1.DataDownloading, l)),
		frame.Text(message)}
	return narrowCells(cells, l)
}

// cacheShare says how much came from the cache in front of the source, and why not all.
func cacheShare(u *v1alpha1.CacheUse) string {
	if u == nil {
		return ""
	}
	// A runtime may say any numbers, also those whose sum is no int64.
	served := float64(u.ServedBytes)
	all := served + float64(u.SourceBytes) + float64(u.RejectedBytes)
	if all <= 0 {
		return ""
	}
	share := fmt.Sprintf(", %.0f%% from the cache", math.Floor(100*served/all))
	if u.FallbackReason != "" {
		share += " (" + u.FallbackReason + ")"
	}
	return share
}

func narrowCells(cells []frame.Cell, l Look) []frame.Cell {
	if l.isNarrow() {
		return append(cells[:1:1], cells[2:]...)
	}
	return cells
}

// progressCell shows how far it is: of what moves as a share, a bar where one
// is wanted, the rate and the time left; of what is there the size.
func progressCell(p status.Progress, moving bool, l Look) string {
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

func progressLine(p status.Progress) string {
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
func percentDone(p status.Progress) int64 {
	if p.Bytes >= p.Total {
		return 100
	}
	return int64(float64(p.Bytes) / float64(p.Total) * 100)
}

func progressBar(p status.Progress, width int) string {
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

func stateTone(s status.State) frame.Tone {
	switch {
	case s == status.Failed:
		return frame.Bad
	case s == status.Updated:
		return frame.Good
	case s.IsMoving() || s == status.Connecting:
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
