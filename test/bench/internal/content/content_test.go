// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"os"
	"path/filepath"
	"testing"
)

func tree() Tree {
	return Tree{}.
		Add(2, buffer+1, "shard-%d", func(i int) []any { return []any{i} }).
		Add(3, 10, "dir/%d/small", func(i int) []any { return []any{i} })
}

func TestDamageIsDetected(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"a file is missing": func(dir string) error { return os.Remove(filepath.Join(dir, "dir/1/small")) },
		"a file too many":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o600) },
		"a short file":      func(dir string) error { return os.Truncate(filepath.Join(dir, "shard-1"), buffer) },
		"one other byte": func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, "shard-0"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			var b [1]byte
			if _, err := f.ReadAt(b[:], buffer); err != nil {
				return err
			}
			b[0]++
			_, err = f.WriteAt(b[:], buffer)
			return err
		},
	} {
		dir := t.TempDir()
		sums, err := tree().Write(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(dir, sums); err != nil {
			t.Fatalf("before: %v", err)
		}
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if Check(dir, sums) == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestSameSeedMakesTheSameBytes(t *testing.T) {
	one, err := tree().Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := tree().Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := Check(dir, one); err != nil {
		t.Error(err)
	}
}

func TestChangeTouchesOnlyTheChosenFiles(t *testing.T) {
	before := tree()
	after, changed := before.Change(func(f File) bool { return f.Path == "shard-1" })
	if len(changed) != 1 || changed.Bytes() != buffer+1 || after.Bytes() != before.Bytes() {
		t.Fatalf("changed %v", changed)
	}
	for i := range before {
		if same := before[i] == after[i]; same == (before[i].Path == "shard-1") {
			t.Errorf("%s: same is %v", before[i].Path, same)
		}
	}
}
