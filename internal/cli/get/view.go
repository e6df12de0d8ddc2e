// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package get

import (
	"io"
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/files"
)

// shortDigest is how many digits of a digest the narrow table shows.
const shortDigest = 12

func renderView(w io.Writer, s frame.Screen, v files.View, wide bool) error {
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

func addItem(t *frame.Table, d *files.DataSet, item *files.Item, wide bool) {
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

func stateCell(item *files.Item) frame.Cell {
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
