// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storecmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// add makes a snapshot of one file of five bytes.
func add(t *testing.T, s *store.Store, version string) *store.Lease {
	t.Helper()
	_, w, err := s.Acquire(t.Context(), snapshot.Key{Source: "s3://minio:9000/models", Path: "bert/", Version: version}, func() {})
	if err != nil || w == nil {
		t.Fatal(err)
	}
	if err := w.Root().WriteFile("f", []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := w.Root().Stat("f")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := digest.Reader(strings.NewReader("12345"), digest.XXH3, make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	e := snapshot.Entry{Path: "f", Size: 5, Mode: 0o644, Digest: sum, Modified: info.ModTime().UnixNano()}
	l, err := w.Commit(&snapshot.Manifest{Entries: []snapshot.Entry{e}, Bytes: 5, Digest: sum})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// kuda runs the command on a store.
func kuda(t *testing.T, s *store.Store, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd := New()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--store", s.Root()))
	err := cmd.ExecuteContext(t.Context())
	code := 0
	if err != nil {
		code = 1
		if c, ok := ExitCode(err); ok {
			code = c
		}
		fmt.Fprintln(&out, err)
	}
	return out.String(), code
}

func TestListShowsWhatIsThereAndWhoUsesIt(t *testing.T) {
	s := openStore(t)
	l := add(t, s, "v1")
	if err := add(t, s, "v2").Close(); err != nil {
		t.Fatal(err)
	}
	_, w, err := s.Acquire(t.Context(), snapshot.Key{Source: "s3://minio:9000/models", Path: "bert/", Version: "v3\x1b[2J"}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard() //nolint:errcheck // the end of the test
	if err := w.Reserve(4096, 4096); err != nil {
		t.Fatal(err)
	}
	pod := filepath.Join(s.Root(), "pods", "uid", "datasets")
	if err := os.MkdirAll(pod, 0o755); err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`{"revisions":{"r":{"items":{"n/i":{"snapshot":%q}}}}}`, l.ID())
	if err := os.WriteFile(filepath.Join(pod, "ds.json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	text, code := kuda(t, s, "list", "-o", "json")
	var entries []entry
	if err := json.Unmarshal([]byte(text), &entries); err != nil || code != 0 {
		t.Fatalf("%v, code %d: %s", err, code, text)
	}
	found := map[string]entry{}
	for _, e := range entries {
		found[e.Version] = e
	}
	v1 := found["v1"]
	if !v1.Complete || !v1.InUse || v1.Leases != 1 || v1.Bytes != 5 || v1.Files != 1 || len(v1.Pods) != 1 || v1.Pods[0] != "uid" ||
		v1.Source != "s3://minio:9000/models" || v1.Path != "bert/" || time.Since(v1.LastUsed) > time.Minute {
		t.Errorf("leased: %+v", v1)
	}
	if v2 := found["v2"]; v2.InUse || v2.Leases != 0 || len(v2.Pods) != 0 || !v2.Complete {
		t.Errorf("not leased: %+v", v2)
	}
	if v3 := found["v3\x1b[2J"]; v3.Complete || !v3.InUse || v3.Bytes != 4096 {
		t.Errorf("on its way: %+v", v3)
	}
	table, code := kuda(t, s, "list")
	if code != 0 || strings.Contains(table, "\x1b") || !strings.Contains(table, "downloading") ||
		!strings.Contains(table, "s3://minio:9000/models/bert/") {
		t.Errorf("code %d:\n%s", code, table)
	}
}

func harm(t *testing.T, l *store.Lease) {
	t.Helper()
	path := filepath.Join(l.Dir(), "f")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1234!"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsDamageAndRepairTakesItAway(t *testing.T) {
	s := openStore(t)
	whole, bad := add(t, s, "v1"), add(t, s, "v2")
	harm(t, bad)
	if text, code := kuda(t, s, "verify"); code != exitDamaged || !strings.Contains(text, string(whole.ID())+" whole") ||
		!strings.Contains(text, string(bad.ID())+" damaged") || !strings.Contains(text, "--repair") {
		t.Errorf("code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "verify", string(whole.ID()[:8])); code != 0 || strings.Contains(text, string(bad.ID())) {
		t.Errorf("one of them: code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "verify", "--repair"); code != exitDamaged {
		t.Errorf("repair: code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "verify"); code != 0 || strings.Contains(text, string(bad.ID())) {
		t.Errorf("after it: code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "verify", string(bad.ID())); code != exitNotStored {
		t.Errorf("named after it: code %d: %s", code, text)
	}
	add(t, s, "v2")
}

func TestASnapshotWithoutAManifestIsFoundAndRepaired(t *testing.T) {
	s := openStore(t)
	l := add(t, s, "v1")
	if err := os.Remove(filepath.Join(filepath.Dir(l.Dir()), "manifest.json")); err != nil {
		t.Fatal(err)
	}
	if text, code := kuda(t, s, "verify", "--repair"); code != exitDamaged || !strings.Contains(text, string(l.ID())) {
		t.Errorf("code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "verify"); code != 0 || text != "" {
		t.Errorf("after it: code %d: %s", code, text)
	}
}

func TestPruneSparesWhatIsLeased(t *testing.T) {
	s := openStore(t)
	l := add(t, s, "leased")
	if err := add(t, s, "old").Close(); err != nil {
		t.Fatal(err)
	}
	if text, code := kuda(t, s, "prune", "--all-unused", "--dry-run"); code != 0 || !strings.Contains(text, "would evict 1 snapshots, 5 B") {
		t.Errorf("dry run: code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "prune", "--to", "5"); code != 0 || !strings.Contains(text, "evicted 1 snapshots, 5 B") ||
		!strings.Contains(text, "old") {
		t.Errorf("code %d: %s", code, text)
	}
	if text, code := kuda(t, s, "list"); code != 0 || !strings.Contains(text, string(l.ID()[:12])) || strings.Contains(text, " old ") {
		t.Errorf("left: code %d: %s", code, text)
	}
}

func TestPruneKeepsPreheatedSnapshots(t *testing.T) {
	s := openStore(t)
	l := add(t, s, "warm")
	if err := s.Mark(l.ID(), "0a0b"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := add(t, s, "newer").Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.Root(), "preheat"), 0o755); err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`{"revisions":{"r":{"items":{"n/i":{"snapshot":%q}}}}}`, l.ID())
	if err := os.WriteFile(filepath.Join(s.Root(), "preheat", "models.json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	text, code := kuda(t, s, "list", "-o", "json")
	var entries []entry
	if err := json.Unmarshal([]byte(text), &entries); err != nil || code != 0 || len(entries) != 2 {
		t.Fatalf("%v, code %d: %s", err, code, text)
	}
	// It was used first, and goes last.
	if e := entries[1]; e.Version != "warm" || len(e.Preheat) != 1 || e.Preheat[0] != "models" || len(e.Marks) != 1 || e.Marks[0] != "0a0b" {
		t.Errorf("got %+v", e)
	}
	if table, _ := kuda(t, s, "list"); !strings.Contains(table, "PREHEAT") || !strings.Contains(table, " models ") {
		t.Errorf("table:\n%s", table)
	}
	if text, code := kuda(t, s, "prune", "--all-unused"); code != 0 || !strings.Contains(text, "evicted 1 snapshots, 5 B") ||
		!strings.Contains(text, "newer") {
		t.Errorf("code %d: %s", code, text)
	}
}

func TestWrongUsageIsTold(t *testing.T) {
	s := openStore(t)
	for args, want := range map[string]string{
		"prune":                     "--to",
		"prune --to 1 --all-unused": "--to",
		"prune --to 5%":             "bytes",
		"prune --to much":           "much",
		"prune x --all-unused":      "--help",
		"list -o yaml":              "yaml",
		"list x":                    "--help",
		"lst":                       "lst",
		"verify --force":            "--force",
	} {
		if text, code := kuda(t, s, strings.Fields(args)...); code != exitUsage || !strings.Contains(text, want) {
			t.Errorf("%q: code %d: %s", args, code, text)
		}
	}
	empty := t.TempDir()
	cmd := New()
	cmd.SetArgs([]string{"list", "--store", empty})
	if code, _ := ExitCode(cmd.ExecuteContext(t.Context())); code != exitUsage {
		t.Errorf("a directory that is no store: code %d", code)
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("listing made %v, %v", left, err)
	}
}
