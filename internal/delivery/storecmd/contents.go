// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storecmd

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// entry is a snapshot or a download as the command shows it.
type entry struct {
	ID     snapshot.ID `json:"id"`
	Source string      `json:"source"`
	// Way and Principal are those of snapshot.Key.
	Way       string    `json:"way,omitempty"`
	Principal string    `json:"principal,omitempty"`
	Path      string    `json:"path"`
	Version   string    `json:"version"`
	Digest    string    `json:"digest,omitempty"`
	Bytes     int64     `json:"bytes"`
	Files     int       `json:"files"`
	Complete  bool      `json:"complete"`
	LastUsed  time.Time `json:"lastUsed"`
	// InUse: a running process holds the snapshot, or downloads it.
	InUse bool `json:"inUse"`
	// Leases that can be seen from here.
	Leases int `json:"leases"`
	// Pods are the UIDs of the living pods that need the snapshot.
	Pods []string `json:"pods"`
	// Preheat are the DataSets that the snapshot is kept for.
	Preheat []string `json:"preheat"`
	// Marks are what items call its bytes.
	Marks []string `json:"marks"`
}

// listEntries takes stock of a store.
func listEntries(s *store.Store) ([]entry, error) {
	snapshots, err := s.Snapshots()
	if err != nil {
		return nil, err
	}
	downloads, err := s.Downloads()
	if err != nil {
		return nil, err
	}
	pods := podstate.NewPods(s.Root())
	users, err := pods.Users()
	if err != nil {
		return nil, err
	}
	preheats, err := pods.Preheats()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(snapshots, func(a, b store.Snapshot) int {
		return min(len(preheats[a.ID]), 1) - min(len(preheats[b.ID]), 1)
	})
	entries := make([]entry, 0, len(snapshots)+len(downloads))
	for i, x := range append(snapshots, downloads...) {
		e := entry{ID: x.ID, Source: x.Key.Source, Way: x.Key.Way, Principal: x.Key.Principal, Path: x.Key.Path, Version: x.Key.Version,
			Digest: x.Digest, Bytes: x.Bytes,
			Files: x.Files, Complete: i < len(snapshots), LastUsed: x.Used, Pods: users[x.ID],
			Preheat: preheats[x.ID], Marks: x.Marks}
		if e.InUse, err = s.InUse(x.ID); err != nil {
			return nil, err
		}
		if e.Leases, err = s.Leases(x.ID); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// printEntries writes the entries as a table for people or as JSON for programs.
func printEntries(w io.Writer, entries []entry, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(entries)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSIZE\tFILES\tSTATE\tLAST USED\tLEASES\tPODS\tPREHEAT\tVERSION\tSOURCE")
	for _, e := range entries {
		state, files := "complete", strconv.Itoa(e.Files)
		switch {
		case !e.Complete && e.InUse:
			state, files = "downloading", "-"
		case !e.Complete:
			state, files = "left behind", "-"
		}
		leases := strconv.Itoa(e.Leases)
		if e.Complete && e.InUse && e.Leases == 0 {
			leases = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.ID[:12], bytesize.Text(e.Bytes), files, state,
			e.LastUsed.UTC().Format(time.RFC3339), leases, len(e.Pods),
			quoteUnprintable(strings.Join(e.Preheat, ",")), quoteUnprintable(e.Version), quoteUnprintable(joinPath(e.Source, e.Path)))
	}
	return t.Flush()
}

// displayName says which snapshot a key is of.
func displayName(k snapshot.Key) string {
	text := quoteUnprintable(joinPath(k.Source, k.Path))
	if k.Version != "" {
		text += " " + quoteUnprintable(k.Version)
	}
	return text
}

func joinPath(source, path string) string {
	if source == "" || path == "" {
		return source + path
	}
	return strings.TrimSuffix(source, "/") + "/" + strings.TrimPrefix(path, "/")
}

// quoteUnprintable returns a name without characters that control a terminal.
func quoteUnprintable(s string) string {
	if s == "" {
		return "-"
	}
	quoted := strconv.Quote(s)
	if quoted == `"`+s+`"` && !strings.ContainsAny(s, " ") {
		return s
	}
	return quoted
}
