// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"fmt"
	"io"
	"strings"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/diff"
	"github.com/kuda-io/kuda/internal/inspection"
)

var signs = map[string]string{diff.Added: "+", diff.Removed: "-", diff.Changed: "~"}

var tones = map[string]frame.Tone{diff.Added: frame.Good, diff.Removed: frame.Bad, diff.Changed: frame.Warning}

type painter struct {
	strings.Builder
	screen frame.Screen
}

func renderResult(w io.Writer, s frame.Screen, r *diff.Result) error {
	p := &painter{screen: s}
	fmt.Fprintf(p, "%s\n", s.Paint(frame.Strong, fmt.Sprintf("DataSet %s/%s: %s → %s", r.Namespace, r.DataSet, r.From, r.To)))
	if !r.HasChanges() {
		p.WriteString("no difference\n")
	}
	p.writeChanges("spec", r.Spec)
	p.writeChanges("item", r.Items)
	p.writeChanges("source", r.Sources)
	if len(r.Lifecycle) > 0 {
		p.writeChanges("", []diff.Change{{Name: "lifecycle", Change: diff.Changed, Fields: r.Lifecycle}})
	}
	p.writeFiles(r.Files)
	if err := p.writeNodes(r); err != nil {
		return err
	}
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *painter) writeChanges(kind string, changes []diff.Change) {
	for _, c := range changes {
		title := signs[c.Change] + " " + strings.TrimSpace(kind+" "+c.Name)
		if len(c.Fields) == 1 && c.Fields[0].Path == "" {
			// A value of its own, without parts.
			p.WriteString(p.screen.Paint(tones[c.Change], title) + ": " + fieldChange(c.Change, c.Fields[0]) + "\n")
			continue
		}
		p.WriteString(p.screen.Paint(tones[c.Change], title) + "\n")
		width := 0
		for _, f := range c.Fields {
			width = max(width, len(f.Path))
		}
		for _, f := range c.Fields {
			fmt.Fprintf(p, "    %-*s  %s\n", width+1, f.Path+":", fieldChange(c.Change, f))
		}
	}
}

func fieldChange(change string, f diff.Field) string {
	switch {
	case change == diff.Added:
		return f.To
	case change == diff.Removed:
		return f.From
	case f.From == "":
		return "(none) → " + f.To
	case f.To == "":
		return f.From + " → (none)"
	}
	return f.From + " → " + f.To
}

func (p *painter) writeFiles(items []inspection.PlannedItem) {
	for i := range items {
		item := &items[i]
		if item.Reason != "" {
			fmt.Fprintf(p, "\nfiles of item %s/%s: %s: %s\n", item.Namespace, item.Name, item.Reason, item.Error)
			continue
		}
		if item.Added.Count+item.Changed.Count+item.Removed.Count == 0 {
			continue
		}
		fmt.Fprintf(p, "\nfiles of item %s/%s: %d added, %d changed, %d removed, %d unchanged; %s in all\n", item.Namespace, item.Name,
			item.Added.Count, item.Changed.Count, item.Removed.Count, item.Unchanged.Count, bytesize.Text(item.TotalBytes))
		p.writeFileNames(diff.Added, item.Added)
		p.writeFileNames(diff.Changed, item.Changed)
		p.writeFileNames(diff.Removed, item.Removed)
	}
}

func (p *painter) writeFileNames(change string, f inspection.Files) {
	for _, name := range f.Files {
		p.WriteString(p.screen.Paint(tones[change], fmt.Sprintf("  %s %s", signs[change], name.Path)) + " (" + bytesize.Text(name.Size) + ")\n")
	}
	if more := f.Count - len(f.Files); more > 0 && len(f.Files) > 0 {
		fmt.Fprintf(p, "  %s and %d more\n", signs[change], more)
	}
}

func (p *painter) writeNodes(r *diff.Result) error {
	if len(r.Nodes) == 0 {
		return nil
	}
	t := &frame.Table{Header: []string{"NODE", "PODS", "PRESENT", "TO MOVE", "NOTE"}}
	for _, n := range r.Nodes {
		present, move := frame.Text(bytesize.Text(n.BytesPresent)), frame.Text(bytesize.Text(n.BytesToMove))
		if n.Error != "" && n.TotalBytes == 0 {
			present, move = frame.Text("?"), frame.Text("?")
		}
		t.Add(frame.Text(n.Name), frame.Text(fmt.Sprint(n.Pods)), present, move, frame.Toned(frame.Bad, n.Error))
	}
	if r.Total != nil && len(r.Nodes) > 1 {
		t.Add(frame.Toned(frame.Strong, "total"), frame.Text(fmt.Sprint(r.Total.Pods)),
			frame.Text(bytesize.Text(r.Total.BytesPresent)), frame.Text(bytesize.Text(r.Total.BytesToMove)), frame.Cell{})
	}
	p.WriteString("\n")
	if err := t.Write(p, p.screen); err != nil {
		return err
	}
	if r.NotAsked > 0 {
		fmt.Fprintf(p, "%d more nodes were not asked (--nodes)\n", r.NotAsked)
	}
	return nil
}
