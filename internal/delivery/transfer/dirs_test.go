// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func openDirs(t *testing.T) (*dirs, string) {
	t.Helper()
	name := t.TempDir()
	root, err := os.OpenRoot(name)
	if err != nil {
		t.Fatal(err)
	}
	d := newDirs(root)
	t.Cleanup(func() {
		d.close()
		root.Close()
	})
	return d, name
}

func TestFilesGetTheirModeWhateverTheProcessMasks(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	d, root := openDirs(t)
	for _, mode := range []fs.FileMode{0o644, 0o755, 0o600, 0o444, 0o777} {
		name := fmt.Sprintf("dir/%o", mode)
		modified, err := d.writeFile(name, []byte("content"), mode)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != mode || info.ModTime().UnixNano() != modified || info.Size() != 7 {
			t.Errorf("%o: got %v, %v", mode, info, err)
		}
	}
}

func TestDirectoriesAreNotLeftOpen(t *testing.T) {
	d, _ := openDirs(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				if _, err := d.writeFile(fmt.Sprintf("d%d/e%d/f%d", j%100, j%3, i*1000+j), []byte("x"), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(d.order) > maxDirs || len(d.open) != len(d.order) {
		t.Errorf("%d are kept, of which %d are known", len(d.order), len(d.open))
	}
	for _, kept := range d.order {
		if kept.users != 1 {
			t.Errorf("%s is used by %d", kept.name, kept.users)
		}
	}
	kept := d.order[0]
	d.close()
	if _, err := kept.file.Stat(); err == nil {
		t.Error("a directory is open still")
	}
}

func TestADirectoryThatIsDeletedMeanwhileIsMadeAgain(t *testing.T) {
	d, root := openDirs(t)
	for range 3 {
		if _, err := d.writeFile("a/b/c", []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASymbolicLinkIsNeverWrittenThrough(t *testing.T) {
	d, root := openDirs(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(root, "dir")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "dir/outside"} {
		if _, err := d.writeFile(name, []byte("x"), 0o644); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a file outside was made")
	}
}
