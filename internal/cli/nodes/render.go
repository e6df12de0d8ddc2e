// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/nodes"
)

// columns is how many items are shown beside each other at most.
const columns = 6

// look is how a view is to be shown.
type look struct {
	frame.Screen
	now              time.Time
	namespaces, wide bool
	all              bool
}

// renderView makes the lines that show a view with stores.
func renderView(v *nodes.View, l look) []string {
	if !l.all && !l.wide && !l.namespaces && len(v.Items) <= columns {
		lines := matrixTable(v, l).Lines(frame.Screen{})
		if l.Width == 0 || !slices.ContainsFunc(lines, func(line string) bool { return frame.PaintedWidth(line) > l.Width }) {
			return matrixTable(v, l).Lines(l.Screen)
		}
	}
	lines := storeTable(v, l).Lines(l.Screen)
	below := itemTable(v, l)
	if l.all {
		below = snapshotTable(v, l)
	}
	if len(below.Rows) > 0 {
		lines = append(append(lines, ""), below.Lines(l.Screen)...)
	}
	return lines
}

// matrixTable has a line per node and a column per item.
func matrixTable(v *nodes.View, l look) *frame.Table {
	t := &frame.Table{Header: append(append([]string{"NODE"}, columnTitles(v.Items)...), "OTHER", "SIZE", "FREE", "AVAILABLE", "NOTE")}
	for i := range v.Stores {
		s := &v.Stores[i]
		cells := []frame.Cell{frame.Text(s.Node)}
		for j := range s.Items {
			cells = append(cells, heldCell(&s.Items[j], s.Stale != "", l.now))
		}
		t.Add(append(cells, frame.Text(otherText(s.Other)), frame.Text(sizeText(s)), frame.Text(bytesize.Text(s.FreeBytes)),
			frame.Text(bytesize.Text(s.AvailableBytes)), noteCell(s))...)
	}
	return t
}

// columnTitles are what items are called above their columns: with the name of the
// DataSet where the item's own does not tell.
func columnTitles(items []nodes.Item) []string {
	plain := make(map[string]int, len(items))
	title := func(i *nodes.Item) string { return strings.TrimSpace(i.Name + " " + i.Version) }
	for i := range items {
		plain[title(&items[i])]++
	}
	var found []string
	for i := range items {
		t := title(&items[i])
		if plain[t] > 1 {
			t = items[i].DataSet + ": " + t
		}
		found = append(found, t)
	}
	return found
}

// heldCell is a cell of the matrix.
func heldCell(h *nodes.Held, stale bool, now time.Time) frame.Cell {
	switch {
	case h.State == nodes.Absent:
		return frame.Toned(frame.Faint, "-")
	case h.State == nodes.Downloading && h.Bytes == 0:
		return frame.Toned(frame.Warning, "downloading")
	case h.State == nodes.Downloading:
		return frame.Toned(frame.Warning, "downloading "+bytesize.Text(h.Bytes))
	}
	text, tone := bytesize.Text(h.Bytes), frame.Good
	switch {
	case h.Pods > 0:
		text += ", " + frame.Count(int(h.Pods), "pod")
	case h.Preheated:
		text += ", preheated"
	case h.LastUsedTime != nil:
		text += ", " + formatAge(h.LastUsedTime, now) + " ago"
	}
	if stale {
		tone = frame.Faint
	}
	return frame.Toned(tone, text)
}

// storeTable has a line per store.
func storeTable(v *nodes.View, l look) *frame.Table {
	t := &frame.Table{Header: []string{"NODE", "NAMESPACE", "OTHER", "SIZE", "FREE", "AVAILABLE", "SEEN", "NOTE"}}
	for i := range v.Stores {
		s := &v.Stores[i]
		seen := ""
		if !s.ObservedTime.IsZero() {
			seen = formatAge(&s.ObservedTime, l.now) + " ago"
		}
		t.Add(frame.Text(s.Node), l.namespaceCell(s), frame.Text(otherText(s.Other)), frame.Text(sizeText(s)),
			frame.Text(bytesize.Text(s.FreeBytes)),
			frame.Text(bytesize.Text(s.AvailableBytes)), frame.Text(seen), noteCell(s))
	}
	return t
}

func (l look) namespaceCell(s *nodes.Store) frame.Cell {
	if l.namespaces {
		return frame.Text(s.Namespace)
	}
	return frame.Cell{}
}

// itemTable has a line per store and item.
func itemTable(v *nodes.View, l look) *frame.Table {
	t := &frame.Table{Header: []string{"NODE", "NAMESPACE", "DATASET", "ITEM", "VERSION", "STATE", "BYTES", "PODS", "PREHEATED", "LAST USED"}}
	for i := range v.Stores {
		s := &v.Stores[i]
		for j := range s.Items {
			h := &s.Items[j]
			cells := []frame.Cell{frame.Text(s.Node), l.namespaceCell(s), frame.Text(h.DataSet), frame.Text(h.Name), frame.Text(h.Version),
				stateCell(s, h.State)}
			if h.State != nodes.Absent {
				cells = append(cells, usageCells(h.Bytes, h.Pods, h.Preheated, h.LastUsedTime, l.now)...)
			}
			t.Add(cells...)
		}
	}
	return t
}

func stateCell(s *nodes.Store, state nodes.State) frame.Cell {
	if s.Stale != "" {
		return frame.Toned(frame.Faint, string(state)+" (stale)")
	}
	return frame.Toned(tones[state], string(state))
}

var tones = map[nodes.State]frame.Tone{nodes.Complete: frame.Good, nodes.Downloading: frame.Warning, nodes.Absent: frame.Faint}

// snapshotTable has a line per snapshot.
func snapshotTable(v *nodes.View, l look) *frame.Table {
	t := &frame.Table{Header: []string{
		"NODE", "NAMESPACE", "SNAPSHOT", "ITEM", "VERSION", "STATE", "BYTES", "PODS", "PREHEATED", "LAST USED", "SOURCE", "PATH",
	}}
	for i := range v.Stores {
		s := &v.Stores[i]
		for j := range s.Snapshots {
			snapshot := &s.Snapshots[j]
			state := nodes.Complete
			if snapshot.Phase != v1alpha1.SnapshotComplete {
				state = nodes.Downloading
			}
			cells := []frame.Cell{frame.Text(s.Node), l.namespaceCell(s), frame.Text(l.shortenID(snapshot.ID)),
				frame.Text(strings.Join(snapshot.Items, ", ")),
				frame.Text(snapshot.Version), stateCell(s, state)}
			cells = append(cells, usageCells(snapshot.Bytes, snapshot.Pods, snapshot.Preheated, snapshot.LastUsedTime, l.now)...)
			t.Add(append(cells, frame.Text(snapshot.Source), frame.Text(snapshot.Path))...)
		}
	}
	return t
}

// shortID is how much of a snapshot's name is shown, as kuda-runtime store list does.
const shortID = 12

func (l look) shortenID(id string) string {
	if l.wide || len(id) <= shortID {
		return id
	}
	return id[:shortID]
}

func usageCells(bytes int64, pods int32, preheated bool, used *metav1.Time, now time.Time) []frame.Cell {
	yes := ""
	if preheated {
		yes = "yes"
	}
	last := ""
	if used != nil {
		last = formatAge(used, now) + " ago"
	}
	return []frame.Cell{frame.Text(bytesize.Text(bytes)), frame.Text(strconv.Itoa(int(pods))), frame.Text(yes), frame.Text(last)}
}

func formatAge(t *metav1.Time, now time.Time) string {
	return duration.HumanDuration(max(now.Sub(t.Time), 0))
}

// otherText sums up what is not shown.
func otherText(o nodes.Other) string {
	if o.Snapshots == 0 {
		return "-"
	}
	return strconv.Itoa(o.Snapshots) + ", " + bytesize.Text(o.Bytes)
}

func sizeText(s *nodes.Store) string {
	if s.QuotaBytes == 0 {
		return bytesize.Text(s.UsedBytes)
	}
	return bytesize.Text(s.UsedBytes) + " of " + bytesize.Text(s.QuotaBytes)
}

func noteCell(s *nodes.Store) frame.Cell {
	switch {
	case s.Stale != "":
		return frame.Toned(frame.Warning, "stale: "+s.Stale)
	case s.Unreadable != "":
		return frame.Toned(frame.Warning, "unreadable: "+s.Unreadable)
	case len(s.Damaged) > 0:
		d := s.Damaged[0]
		return frame.Toned(frame.Warning, "found damaged "+d.FoundTime.UTC().Format(time.DateOnly)+": "+d.Path+" "+d.Version)
	}
	return frame.Cell{}
}
