// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package get

import (
	"cmp"
	"io"
	"path"
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/inspection"
)

// Where a view comes from.
const (
	fromRuntime = "runtime"
	fromStatus  = "status"
)

// View is what a pod has.
type View struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	// Source is runtime, which looked at the files, or status, which is what the
	// pod reported; then items have no files, and Note says why.
	Source   string    `json:"source"`
	Note     string    `json:"note,omitempty"`
	DataSets []DataSet `json:"dataSets"`
}

// DataSet is what the pod has of one DataSet.
type DataSet struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	Items    []Item `json:"items"`
}

// Item is one item.
type Item struct {
	inspection.Item
	// Phase and Reason, where the view is from the status.
	Phase  string `json:"phase,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// ofRuntime is the view that the runtime's answer gives; dataSet, if not empty,
// is the only one wanted.
func ofRuntime(v View, a []inspection.DataSet, dataSet string) View {
	v.Source = fromRuntime
	for _, d := range a {
		if dataSet != "" && d.Name != dataSet {
			continue
		}
		out := DataSet{Name: d.Name, Revision: d.Revision}
		for _, item := range d.Items {
			slices.SortFunc(item.Files, func(a, b inspection.File) int { return cmp.Compare(a.Path, b.Path) })
			out.Items = append(out.Items, Item{Item: item})
		}
		v.DataSets = append(v.DataSets, sortItems(out))
	}
	return sortDataSets(v)
}

// ofStatus is the view that the pod's Data give.
func ofStatus(v View, data []v1alpha1.Data, note string) View {
	v.Source, v.Note = fromStatus, note
	for i := range data {
		d := &data[i]
		out := DataSet{Name: d.Labels[v1alpha1.LabelDataSet], Revision: d.Status.CurrentRevision}
		places := make(map[string]string)
		for j := range d.Spec.DataItems {
			item := &d.Spec.DataItems[j]
			places[item.Namespace+"/"+item.Name] = path.Clean("/" + item.LocalPath)[1:]
		}
		for _, s := range d.Status.DataItemsStatus {
			item := Item{Phase: string(s.Phase), Reason: s.Reason}
			item.Namespace, item.Name, item.Version = s.Namespace, s.Name, s.Version
			item.Files = []inspection.File{}
			item.Path, item.Digest, item.Bytes = places[s.Namespace+"/"+s.Name], s.Digest, s.Bytes
			out.Items = append(out.Items, item)
		}
		v.DataSets = append(v.DataSets, sortItems(out))
	}
	return sortDataSets(v)
}

func sortItems(d DataSet) DataSet {
	slices.SortFunc(d.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return d
}

func sortDataSets(v View) View {
	if v.DataSets == nil {
		v.DataSets = []DataSet{}
	}
	slices.SortFunc(v.DataSets, func(a, b DataSet) int { return cmp.Compare(a.Name, b.Name) })
	return v
}

// shortDigest is how many digits of a digest the narrow table shows.
const shortDigest = 12

func renderView(w io.Writer, s frame.Screen, v View, wide bool) error {
	t := &frame.Table{Header: []string{"DATASET", "REVISION", "ITEM", "VERSION", "STATE", "SIZE", "MODE", "DIGEST", "FILE"}}
	for _, d := range v.DataSets {
		for i := range d.Items {
			addItem(t, &d, &d.Items[i], wide)
		}
	}
	if len(t.Rows) == 0 {
		_, err := io.WriteString(w, "Nothing is delivered.\n")
		return err
	}
	return t.Write(w, s)
}

func addItem(t *frame.Table, d *DataSet, item *Item, wide bool) {
	row := func(state frame.Cell, size int64, mode, digest, file string) {
		t.Add(frame.Text(d.Name), frame.Text(d.Revision), frame.Text(item.Namespace+"/"+item.Name), frame.Text(item.Version),
			state, frame.Text(bytesize.Text(size)), frame.Text(mode), frame.Text(shortenDigest(digest, wide)), frame.Text(file))
	}
	if item.Phase != "" {
		row(stateCell(item), item.Bytes, "", item.Digest, item.Path)
		return
	}
	for _, f := range item.Files {
		row(frame.Cell{}, f.Size, f.Mode, f.Digest, f.Path)
	}
}

func stateCell(item *Item) frame.Cell {
	switch v1alpha1.DataPhase(item.Phase) {
	case v1alpha1.DataSuccess:
		return frame.Toned(frame.Good, item.Phase)
	case v1alpha1.DataFailed:
		return frame.Toned(frame.Bad, item.Phase+" ("+item.Reason+")")
	}
	return frame.Text(item.Phase)
}

// shortenDigest cuts a digest to its kind and first digits, unless all are wanted.
func shortenDigest(digest string, wide bool) string {
	if i := slices.Index([]byte(digest), ':'); !wide && i >= 0 && len(digest) > i+1+shortDigest {
		return digest[:i+1+shortDigest] + "…"
	}
	return digest
}
