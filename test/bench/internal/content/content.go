// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/zeebo/xxh3"
)

// buffer is how much is written and compared at a time, in bytes.
const buffer = 1 << 20

// File is one file of a tree. The same size and seed are the same bytes.
type File struct {
	Path string
	Size int64
	Seed uint64
}

// Tree is a set of files.
type Tree []File

// Bytes is the size of all files together.
func (t Tree) Bytes() int64 {
	var n int64
	for _, f := range t {
		n += f.Size
	}
	return n
}

// Add appends n files of that size, named by the format from 0 on.
func (t Tree) Add(n int, size int64, format string, args func(i int) []any) Tree {
	for i := range n {
		t = append(t, File{Path: fmt.Sprintf(format, args(i)...), Size: size, Seed: uint64(len(t) + 1)})
	}
	return t
}

// Change returns the tree with other bytes of the same size in the files that
// are chosen, and the changed files.
func (t Tree) Change(chosen func(File) bool) (all, changed Tree) {
	all = slices.Clone(t)
	for i := range all {
		if chosen(all[i]) {
			all[i].Seed += 1 << 32
			changed = append(changed, all[i])
		}
	}
	return all, changed
}

// Sums are the hashes of files by their path.
type Sums map[string]uint64

// Write makes the files below a directory and returns their sums.
func (t Tree) Write(dir string) (Sums, error) {
	sums := make(Sums, len(t))
	buf := make([]byte, buffer)
	for _, f := range t {
		sum, err := f.write(dir, buf)
		if err != nil {
			return nil, fmt.Errorf("writing the benchmark's data: %w", err)
		}
		sums[f.Path] = sum
	}
	return sums, nil
}

func (f File) write(dir string, buf []byte) (uint64, error) {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, err
	}
	out, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], f.Seed)
	random, hash := rand.NewChaCha8(seed), xxh3.New()
	for left := f.Size; left > 0; {
		part := buf[:min(left, buffer)]
		_, _ = random.Read(part) // never fails
		_, _ = hash.Write(part)  // never fails
		if _, err := out.Write(part); err != nil {
			return 0, err
		}
		left -= int64(len(part))
	}
	return hash.Sum64(), out.Close()
}

// Check compares every file below a directory with the sums: none may be
// missing, be there in addition, or have other bytes.
func Check(dir string, want Sums) error {
	buf, seen := make([]byte, buffer), 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum, ok := want[filepath.ToSlash(name)]
		if !ok {
			return fmt.Errorf("%s should not be there", name)
		}
		got, err := sumOf(path, buf)
		if err != nil {
			return err
		}
		if got != sum {
			return fmt.Errorf("%s has other bytes than its source", name)
		}
		seen++
		return nil
	})
	if err != nil {
		return fmt.Errorf("comparing the content: %w", err)
	}
	if seen != len(want) {
		return fmt.Errorf("comparing the content: %d files arrived instead of %d", seen, len(want))
	}
	return nil
}

func sumOf(path string, buf []byte) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	hash := xxh3.New()
	for {
		n, err := f.Read(buf)
		_, _ = hash.Write(buf[:n]) // never fails
		if err == io.EOF {
			return hash.Sum64(), nil
		}
		if err != nil {
			return 0, err
		}
	}
}
