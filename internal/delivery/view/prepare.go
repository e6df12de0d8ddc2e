// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// manyDirs is from how many directories on one sync of the whole file system
// is cheaper than one of each.
const manyDirs = 32

// Item is what Prepare puts into a tree.
type Item struct {
	// LocalPath is the place below the view; leading slashes have no meaning.
	LocalPath string
	// Mark names the content: a tree of the same revision whose items have the
	// same places and marks is used again.
	Mark string
	// Dir holds Files: the directory of a snapshot.
	Dir string
	// Single says that the item is one file, the only one of Files, and that
	// LocalPath is its name.
	Single bool
	Files  []File
}

// File is a file of an item.
type File struct {
	// Path is clean, relative and below Item.Dir.
	Path string
	// Link is the target of a symbolic link; it must stay inside the item.
	Link string
	// Size is used by Check only.
	Size int64
}

// Prepare builds the tree of a revision beside the live one, from hard links.
// Nothing that the application sees changes. Places that another DataSet holds,
// or that two items want, are refused with a *PathConflictError.
func (v *View) Prepare(dataset, revision string, items []Item) error {
	if err := v.prepareTree(context.Background(), dataset, revision, items, false); err != nil {
		return fmt.Errorf("preparing DataSet %s, revision %s: %w", dataset, revision, err)
	}
	return nil
}

// prepareTree finds or builds a tree. One that is kept only takes no place.
func (v *View) prepareTree(ctx context.Context, dataset, revision string, items []Item, keep bool) error {
	want, items, err := describeTree(dataset, revision, items)
	if err != nil {
		return err
	}
	n, found, err := v.claimTree(dataset, want, keep)
	if err != nil {
		return err
	}
	if found {
		if v.dir.checkItems(treePath(dataset, n), items) == nil {
			return nil
		}
		v.Suspect(dataset)
		if n, _, err = v.claimTree(dataset, want, keep); err != nil {
			return err
		}
	}
	b := &builder{ctx: ctx, dir: v.dir, base: treePath(dataset, n), dirs: map[string]bool{}, dataset: dataset, linksOnly: keep}
	if err := b.buildTree(items); err != nil {
		return errors.Join(err, v.dir.removeTree(dataset, n))
	}
	if err := v.completeTree(dataset, n, want, b); err != nil {
		return errors.Join(err, v.dir.removeTree(dataset, n))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := findConflict(want.itemPaths(), v.takenPaths(dataset)); c != nil {
		return errors.Join(c, v.dir.removeTree(dataset, n))
	}
	want.retired = v.dir.now()
	s := v.sets[dataset]
	s.trees[n] = want
	v.markTree(s, n, keep)
	return nil
}

// describeTree checks what is asked for and puts it into order: parents come
// before what is nested in them.
func describeTree(dataset, revision string, items []Item) (*tree, []Item, error) {
	if err := checkDataSet(dataset); err != nil {
		return nil, nil, err
	}
	items = slices.Clone(items)
	t := &tree{Revision: revision}
	for i := range items {
		p, err := cleanLocal(items[i].LocalPath)
		if err != nil {
			return nil, nil, err
		}
		items[i].LocalPath = p
		if items[i].Single && len(items[i].Files) != 1 {
			return nil, nil, fmt.Errorf("item at %s is a single file but has %d", p, len(items[i].Files))
		}
		for _, f := range items[i].Files {
			if err := checkRelative(f.Path); err != nil {
				return nil, nil, err
			}
			if f.Link != "" {
				if err := checkLink(f.Path, f.Link); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	slices.SortStableFunc(items, func(a, b Item) int { return cmp.Compare(a.LocalPath+"/", b.LocalPath+"/") })
	for i, item := range items {
		if i > 0 && items[i-1].LocalPath == item.LocalPath {
			return nil, nil, &PathConflictError{Path: item.LocalPath, DataSet: dataset, Other: item.LocalPath}
		}
		t.Items = append(t.Items, treeItem{Path: item.LocalPath, Mark: item.Mark})
	}
	return t, items, nil
}

// claimTree finds a tree on disk that is what is wanted, or a number for a new one.
func (v *View) claimTree(dataset string, want *tree, keep bool) (n uint64, found bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := findConflict(want.itemPaths(), v.takenPaths(dataset)); c != nil {
		return 0, false, c
	}
	s := v.sets[dataset]
	if s == nil {
		if err := v.dir.root.MkdirAll(path.Join(treesDir, dataset), 0o755); err != nil {
			return 0, false, err
		}
		s = &set{trees: map[uint64]*tree{}}
		v.sets[dataset] = s
	}
	for at, t := range s.trees {
		if t.Revision == want.Revision && slices.Equal(t.Items, want.Items) && (!found || at == s.current) {
			n, found = at, true
		}
	}
	v.markTree(s, n, keep)
	if found {
		return n, true, nil
	}
	s.last++
	return s.last, false, nil
}

// markTree makes a tree the prepared one, or the one that is kept; 0 for none.
func (v *View) markTree(s *set, n uint64, keep bool) {
	mark := &s.prepared
	if keep {
		mark = &s.kept
	}
	if t := s.trees[*mark]; t != nil && *mark != n {
		t.retired = v.dir.now()
	}
	*mark = n
}

// completeTree writes the tree's file once everything below it is on disk.
func (v *View) completeTree(dataset string, n uint64, t *tree, b *builder) error {
	if err := b.syncDirs(); err != nil {
		return fmt.Errorf("writing the tree to disk: %w", err)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return atomicfile.WriteIn(v.dir.root, treePath(dataset, n)+metaSuffix, body, 0o644)
}

// builder makes one tree.
type builder struct {
	ctx     context.Context
	dir     *directory
	base    string
	dataset string
	dirs    map[string]bool
	// linksOnly: what cannot be linked is not copied.
	linksOnly bool
}

func (b *builder) buildTree(items []Item) error {
	if err := b.makeDir("."); err != nil {
		return err
	}
	for _, item := range items {
		if err := b.addItem(item); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addItem(item Item) error {
	src, err := os.OpenRoot(item.Dir)
	if err != nil {
		return fmt.Errorf("opening the snapshot of %s: %w", item.LocalPath, err)
	}
	defer src.Close()
	if item.Single {
		return b.linkFiles(src, item.Files, func(string) string { return item.LocalPath })
	}
	if err := b.makeDir(item.LocalPath); err != nil {
		return err
	}
	return b.linkFiles(src, item.Files, func(p string) string { return path.Join(item.LocalPath, p) })
}

// linkFiles links files one directory after the other, so that each directory is
// opened once.
func (b *builder) linkFiles(src *os.Root, files []File, place func(string) string) error {
	var from, to *os.File
	var fromDir, toDir string
	defer func() { closeBoth(from, to) }()
	for _, f := range files {
		if err := context.Cause(b.ctx); err != nil {
			return err
		}
		dst := place(f.Path)
		if from == nil || path.Dir(f.Path) != fromDir || path.Dir(dst) != toDir {
			closeBoth(from, to)
			from, to = nil, nil
			fromDir, toDir = path.Dir(f.Path), path.Dir(dst)
			err := b.makeDir(toDir)
			if err == nil {
				from, err = src.Open(fromDir)
			}
			if err == nil {
				to, err = b.dir.root.Open(path.Join(b.base, toDir))
			}
			if err != nil {
				return fmt.Errorf("linking %s: %w", dst, err)
			}
		}
		if err := b.linkFile(from, to, f, dst); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) linkFile(from, to *os.File, f File, dst string) error {
	name := path.Base(dst)
	var err error
	if f.Link != "" {
		err = unix.Symlinkat(f.Link, int(to.Fd()), name)
	} else {
		err = unix.Linkat(int(from.Fd()), path.Base(f.Path), int(to.Fd()), name, 0)
		if !b.linksOnly && (errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP)) {
			err = copyFile(from, path.Base(f.Path), to, name)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return &PathConflictError{Path: dst, DataSet: b.dataset, Other: dst}
	}
	if err != nil {
		return fmt.Errorf("linking %s: %w", dst, err)
	}
	return nil
}

// makeDir makes a directory of the tree and its parents.
func (b *builder) makeDir(dir string) error {
	if b.dirs[dir] {
		return nil
	}
	if dir != "." {
		if err := b.makeDir(path.Dir(dir)); err != nil {
			return err
		}
	}
	err := b.dir.root.Mkdir(path.Join(b.base, dir), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return &PathConflictError{Path: dir, DataSet: b.dataset, Other: dir}
	}
	if err != nil {
		return fmt.Errorf("making directory %s: %w", dir, err)
	}
	b.dirs[dir] = true
	return nil
}

// syncDirs brings the tree's directories to disk; the files are there already.
func (b *builder) syncDirs() error {
	if len(b.dirs) < manyDirs {
		for dir := range b.dirs {
			if err := atomicfile.SyncDirIn(b.dir.root, path.Join(b.base, dir)); err != nil {
				return err
			}
		}
		return nil
	}
	d, err := b.dir.root.Open(b.base)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

// copyFile is for file systems, and files, that cannot be linked once more. The
// copy has the time of the original, by which Check knows it.
func copyFile(from *os.File, src string, to *os.File, dst string) error {
	in, err := openAt(from, src, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := openAt(to, dst, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, uint32(info.Mode().Perm()))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		at := unix.NsecToTimespec(info.ModTime().UnixNano())
		err = unix.UtimesNanoAt(int(to.Fd()), dst, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}
	return errors.Join(err, out.Chmod(info.Mode().Perm()), out.Sync(), out.Close())
}

func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func closeBoth(a, b *os.File) {
	for _, f := range []*os.File{a, b} {
		if f != nil {
			_ = f.Close()
		}
	}
}
