// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/state"
)

// Entry is one process of the table.
type Entry struct {
	Identity
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	Log  string   `json:"log"`
}

// Table is the directory that remembers the processes, one file each.
type Table struct{ dir string }

// NewTable returns the table kept in dir.
func NewTable(dir string) Table { return Table{dir: dir} }

// Start starts the process and remembers it under its name.
func (t Table) Start(s Spec) (Entry, error) {
	id, err := Start(s)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Identity: id, Name: s.Name, Argv: s.Argv, Log: s.Log}
	body, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("recording %s: %w", s.Name, err)
	}
	if err := state.WriteFile(t.path(s.Name), body, 0o644); err != nil {
		return Entry{}, fmt.Errorf("recording %s: %w", s.Name, err)
	}
	return e, nil
}

// Get returns the process remembered under name; ok is false when none is.
func (t Table) Get(name string) (e Entry, ok bool) {
	body, err := os.ReadFile(t.path(name))
	if err != nil || json.Unmarshal(body, &e) != nil {
		return Entry{}, false
	}
	return e, true
}

// Running reports whether the process remembered under name still runs.
func (t Table) Running(name string) bool {
	e, ok := t.Get(name)
	return ok && e.Alive()
}

// Forget removes the processes whose name starts with prefix.
func (t Table) Forget(prefix string) error {
	entries, err := t.List()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, prefix) {
			if err := os.Remove(t.path(e.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("forgetting %s: %w", e.Name, err)
			}
		}
	}
	return nil
}

// List returns all processes by name. A file that cannot be read is left out:
// a crash may have cut it short, and the cgroups still know the process.
func (t Table) List() ([]Entry, error) {
	files, err := filepath.Glob(filepath.Join(t.dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var entries []Entry
	for _, f := range files {
		var e Entry
		body, err := os.ReadFile(f)
		if err == nil && json.Unmarshal(body, &e) == nil && e.Name != "" {
			entries = append(entries, e)
		}
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name < entries[j].Name })
	return entries, nil
}

func (t Table) path(name string) string {
	return filepath.Join(t.dir, strings.ReplaceAll(name, "/", "_")+".json")
}
