// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/view"
)

// bench is a directory with snapshots and one view.
type bench struct {
	t    testing.TB
	dir  string
	view *view.View
	now  time.Time
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), now: time.Unix(1_000_000, 0)}
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	v, err := view.Open(b.path(), view.Options{Grace: time.Minute, Now: func() time.Time { return b.now }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.view = v
	b.t.Cleanup(func() { _ = v.Close() })
}

func (b *bench) path(p ...string) string {
	return filepath.Join(append([]string{b.dir, "view"}, p...)...)
}

// tree makes an item that is a directory; files come as path, content, …
func (b *bench) tree(local, mark string, files ...string) view.Item {
	b.t.Helper()
	dir, err := os.MkdirTemp(b.dir, "snapshot-")
	if err != nil {
		b.t.Fatal(err)
	}
	item := view.Item{LocalPath: local, Mark: mark, Dir: dir}
	for i := 0; i < len(files); i += 2 {
		p := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(files[i+1]), 0o644); err != nil {
			b.t.Fatal(err)
		}
		item.Files = append(item.Files, view.File{Path: files[i], Size: int64(len(files[i+1]))})
	}
	return item
}

// file makes an item that is a single file.
func (b *bench) file(local, content string) view.Item {
	b.t.Helper()
	item := b.tree(local, content, "blob", content)
	item.Single = true
	return item
}

func (b *bench) deliver(dataset, revision string, items ...view.Item) {
	b.t.Helper()
	if err := b.view.Prepare(dataset, revision, items); err != nil {
		b.t.Fatal(err)
	}
	if err := b.view.Switch(dataset, revision); err != nil {
		b.t.Fatal(err)
	}
}

// seen is what an application finds: every file that is not below .kuda.
func (b *bench) seen() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := os.ReadDir(b.path(dir))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range entries {
			p := filepath.Join(dir, e.Name())
			if p == ".kuda" {
				continue
			}
			info, err := os.Stat(b.path(p))
			if err != nil {
				b.t.Fatal(err)
			}
			if info.IsDir() {
				walk(p)
				continue
			}
			content, err := os.ReadFile(b.path(p))
			if err != nil {
				b.t.Fatal(err)
			}
			out[p] = string(content)
		}
	}
	walk(".")
	return out
}

func (b *bench) wantSeen(want map[string]string) {
	b.t.Helper()
	if d := cmp.Diff(want, b.seen()); d != "" {
		b.t.Errorf("the application sees (-want +got):\n%s", d)
	}
}

func TestItemsAppearAtTheirPlacesAndSwitchTogether(t *testing.T) {
	b := newBench(t)
	b.deliver("ds", "r1", b.file("/conf/app.conf", "c1"), b.tree("model/", "m1", "w/a.bin", "a1", "b.bin", "b1"))
	b.wantSeen(map[string]string{"conf/app.conf": "c1", "model/w/a.bin": "a1", "model/b.bin": "b1"})

	old, err := os.Open(b.path("conf/app.conf"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := b.view.Prepare("ds", "r2", []view.Item{b.file("conf/app.conf", "c2"), b.tree("model", "m2", "w/a.bin", "a2")}); err != nil {
		t.Fatal(err)
	}
	b.wantSeen(map[string]string{"conf/app.conf": "c1", "model/w/a.bin": "a1", "model/b.bin": "b1"})
	if err := b.view.Switch("ds", "r2"); err != nil {
		t.Fatal(err)
	}
	b.wantSeen(map[string]string{"conf/app.conf": "c2", "model/w/a.bin": "a2"})
	buf := make([]byte, 2)
	if _, err := old.Read(buf); err != nil || string(buf) != "c1" {
		t.Errorf("a reader of the old file got %q, %v", buf, err)
	}
}

func TestViewNeverLeadsOutOfItself(t *testing.T) {
	b := newBench(t)
	b.deliver("ds", "r1", b.file("a/b/c/app.conf", "c1"))
	// The application sees the view at another place than the runtime.
	moved := filepath.Join(b.dir, "elsewhere")
	if err := os.Rename(b.path(), moved); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(moved, "a/b/c/app.conf")); err != nil || string(got) != "c1" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestChangedPlacesLeaveNothingBehind(t *testing.T) {
	steps := []struct {
		name string
		rev  func(b *bench) []view.Item
		want map[string]string
	}{
		{"nested place", func(b *bench) []view.Item { return []view.Item{b.file("conf/x", "1")} }, map[string]string{"conf/x": "1"}},
		{"its parent", func(b *bench) []view.Item { return []view.Item{b.tree("conf", "2", "x", "2", "y", "2")} },
			map[string]string{"conf/x": "2", "conf/y": "2"}},
		{"deeper again", func(b *bench) []view.Item { return []view.Item{b.file("conf/x/z", "3"), b.file("other", "3")} },
			map[string]string{"conf/x/z": "3", "other": "3"}},
		{"elsewhere", func(b *bench) []view.Item { return []view.Item{b.file("a/b", "4")} }, map[string]string{"a/b": "4"}},
	}
	b := newBench(t)
	b.deliver("neighbour", "n1", b.file("shared/n", "n"))
	for i, s := range steps {
		b.deliver("ds", fmt.Sprint("r", i), s.rev(b)...)
		s.want["shared/n"] = "n"
		b.wantSeen(s.want)
		b.open()
		b.wantSeen(s.want)
	}
}

func TestDataSetsShareADirectory(t *testing.T) {
	b := newBench(t)
	b.deliver("one", "r1", b.file("conf/one", "1"))
	b.deliver("two", "r1", b.file("conf/two", "2"))
	b.wantSeen(map[string]string{"conf/one": "1", "conf/two": "2"})
	if err := b.view.Remove("one"); err != nil {
		t.Fatal(err)
	}
	b.wantSeen(map[string]string{"conf/two": "2"})
	if err := b.view.Remove("two"); err != nil {
		t.Fatal(err)
	}
	b.wantSeen(map[string]string{})
	if _, ok := b.view.Current("two"); ok {
		t.Error("a removed DataSet is still current")
	}
}

func TestNestedItemsOfOneDataSet(t *testing.T) {
	b := newBench(t)
	b.deliver("ds", "r1", b.file("model/tokenizer/vocab", "v"), b.tree("model", "m", "weights", "w", "tokenizer/merges", "m"))
	b.wantSeen(map[string]string{"model/weights": "w", "model/tokenizer/merges": "m", "model/tokenizer/vocab": "v"})
}

func TestConflictingPlacesAreRefusedAndNothingChanges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		items func(b *bench) []view.Item
	}{
		{"same place as another DataSet", func(b *bench) []view.Item { return []view.Item{b.file("conf/app", "x")} }},
		{"above another DataSet's", func(b *bench) []view.Item { return []view.Item{b.tree("conf", "x", "a", "x")} }},
		{"below another DataSet's", func(b *bench) []view.Item { return []view.Item{b.file("conf/app/deeper", "x")} }},
		{"twice in one DataSet", func(b *bench) []view.Item { return []view.Item{b.file("y", "x"), b.file("/y/", "z")} }},
		{"below a single file", func(b *bench) []view.Item { return []view.Item{b.file("y", "x"), b.file("y/z", "z")} }},
		{"same file in two items", func(b *bench) []view.Item { return []view.Item{b.tree("y", "x", "z", "1"), b.file("y/z", "z")} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.deliver("owner", "r1", b.file("conf/app", "mine"))
			b.deliver("ds", "r1", b.file("own", "1"))
			err := b.view.Prepare("ds", "r2", tt.items(b))
			if c := (*view.PathConflictError)(nil); !errors.As(err, &c) {
				t.Errorf("got %v, want a PathConflictError", err)
			}
			b.wantSeen(map[string]string{"conf/app": "mine", "own": "1"})
			if err := b.view.Switch("ds", "r2"); !errors.Is(err, view.ErrNotPrepared) {
				t.Errorf("switching to a refused revision: %v", err)
			}
		})
	}
}

func TestHostileNamesAreRefused(t *testing.T) {
	b := newBench(t)
	good := func() view.Item { return b.tree("x", "m", "a", "1") }
	link := func(target string) view.Item {
		i := good()
		i.Files = append(i.Files, view.File{Path: "l", Link: target})
		return i
	}
	at := func(local string) view.Item { i := good(); i.LocalPath = local; return i }
	named := func(p string) view.Item { i := good(); i.Files[0].Path = p; return i }
	for name, tt := range map[string]struct {
		dataset string
		item    view.Item
	}{
		"parent in local path":   {"ds", at("a/../../b")},
		"dots only":              {"ds", at("..")},
		"empty local path":       {"ds", at("///")},
		"Kuda's own directory":   {"ds", at("/.kuda/ds")},
		"NUL":                    {"ds", at("a\x00b")},
		"segment too long":       {"ds", at(strings.Repeat("a", 256))},
		"absolute file":          {"ds", named("/etc/passwd")},
		"file above":             {"ds", named("../a")},
		"unclean file":           {"ds", named("a//b")},
		"absolute link":          {"ds", link("/etc/passwd")},
		"link above":             {"ds", link("../y")},
		"DataSet with a slash":   {"a/b", good()},
		"DataSet with dots":      {"..", good()},
		"DataSet named as trees": {".rev", good()},
	} {
		err := b.view.Prepare(tt.dataset, "r", []view.Item{tt.item})
		if e := (*view.InvalidPathError)(nil); !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an InvalidPathError", name, err)
		}
	}
	b.deliver("ds", "r", link("a"))
	b.wantSeen(map[string]string{"x/a": "1", "x/l": "1"})
}

func TestRevertGoesBackOnceWithoutASnapshot(t *testing.T) {
	b := newBench(t)
	first := b.file("a", "1")
	b.deliver("ds", "r1", first)
	if err := os.RemoveAll(first.Dir); err != nil {
		t.Fatal(err)
	}
	b.deliver("ds", "r2", b.file("a", "2"), b.file("new", "2"))
	b.open()
	if rev, err := b.view.Revert("ds"); err != nil || rev != "r1" {
		t.Fatalf("got %q, %v", rev, err)
	}
	b.wantSeen(map[string]string{"a": "1"})
	if _, err := b.view.Revert("ds"); !errors.Is(err, view.ErrNoPrevious) {
		t.Errorf("reverting twice: %v", err)
	}
	b.open()
	b.wantSeen(map[string]string{"a": "1"})
}

func TestGoingBackToARevisionOnDiskUsesItsTree(t *testing.T) {
	b := newBench(t)
	first := b.file("a", "1")
	b.deliver("ds", "r1", first)
	b.deliver("ds", "r2", b.file("a", "2"))
	b.deliver("ds", "r1", first)
	b.wantSeen(map[string]string{"a": "1"})
	if rev, _ := b.view.Previous("ds"); rev != "r2" {
		t.Errorf("previous is %q", rev)
	}
	if trees, err := filepath.Glob(b.path(".kuda/.rev/ds/[0-9]")); err != nil || len(trees) != 2 {
		t.Errorf("trees: %v, %v", trees, err)
	}
}

func TestGoingBackDoesNotBringBackADamagedTree(t *testing.T) {
	b := newBench(t)
	b.deliver("ds", "r1", b.file("a", "1"))
	if err := os.WriteFile(b.path("a"), []byte("?"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.deliver("ds", "r2", b.file("a", "2"))
	b.deliver("ds", "r1", b.file("a", "1"))
	b.wantSeen(map[string]string{"a": "1"})
}

func TestOldTreesGoAfterTheirGraceOnly(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		b.deliver("ds", fmt.Sprint("r", i), b.file("a", fmt.Sprint(i)))
		b.now = b.now.Add(time.Second)
	}
	trees := func() int {
		m, err := filepath.Glob(b.path(".kuda/.rev/ds/[0-9]"))
		if err != nil {
			t.Fatal(err)
		}
		return len(m)
	}
	left, err := b.view.Collect()
	if err != nil || left <= 0 || trees() != 4 {
		t.Fatalf("within grace: %d trees, next in %s, %v", trees(), left, err)
	}
	b.now = b.now.Add(time.Hour)
	if left, err = b.view.Collect(); err != nil || left != 0 || trees() != 2 {
		t.Fatalf("after grace: %d trees, next in %s, %v", trees(), left, err)
	}
	if rev, err := b.view.Revert("ds"); err != nil || rev != "r2" {
		t.Errorf("got %q, %v", rev, err)
	}
}

func TestDamagedTreeIsSeenAndBuiltAgain(t *testing.T) {
	b := newBench(t)
	item := b.tree("m", "1", "a", "aa", "b", "bb")
	b.deliver("ds", "r1", item)
	if err := b.view.Check("ds", []view.Item{item}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.path("m/b")); err != nil {
		t.Fatal(err)
	}
	if err := b.view.Check("ds", []view.Item{item}); err == nil {
		t.Fatal("a missing file was not noticed")
	}
	b.view.Suspect("ds")
	b.deliver("ds", "r1", item)
	b.wantSeen(map[string]string{"m/a": "aa", "m/b": "bb"})
}

func TestApplicationInTheMiddleOfAReplacedDirectoryStillArrives(t *testing.T) {
	for _, dir := range []string{"conf", "a/b/conf"} {
		b := newBench(t)
		b.deliver("ds", "r0", b.file(dir+"/x", "0"), b.file(dir+"/sub/y", "0"))
		at, err := os.Open(b.path(dir))
		if err != nil {
			t.Fatal(err)
		}
		defer at.Close()
		b.deliver("ds", "r1", b.tree(dir, "1", "x", "1", "sub/y", "1"))
		for _, p := range []string{"x", "sub/y"} {
			got, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d/%s", at.Fd(), p))
			if err != nil || string(got) != "1" {
				t.Errorf("%s below %s: %q, %v", p, dir, got, err)
			}
		}
		b.now = b.now.Add(time.Hour)
		if left, err := b.view.Collect(); err != nil || left != 0 {
			t.Errorf("next in %s, %v", left, err)
		}
		if left, err := filepath.Glob(b.path(".kuda/.old/[0-9]*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		b.wantSeen(map[string]string{dir + "/x": "1", dir + "/sub/y": "1"})
	}
}
