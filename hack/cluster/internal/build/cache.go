// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const envCache = "KUDA_CACHE"

// Cache is the directory of everything that was built.
type Cache struct{ root string }

// OpenCache returns the cluster's part of the cache named by KUDA_CACHE, or of
// the user's usual one. It need not exist.
func OpenCache() (Cache, error) {
	root := os.Getenv(envCache)
	if root == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return Cache{}, fmt.Errorf("finding the cache: %w; set %s", err, envCache)
		}
		root = filepath.Join(base, "kuda")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return Cache{}, fmt.Errorf("finding the cache: %w", err)
	}
	for _, hidden := range []string{"/run", "/var/run", "/var/lib", "/var/log"} {
		if strings.HasPrefix(root, hidden+"/") {
			return Cache{}, fmt.Errorf("the cache cannot be %s: nodes have a %s of their own and would not see it; set %s to another directory",
				root, hidden, envCache)
		}
	}
	return Cache{root: filepath.Join(root, "cluster")}, nil
}

// Root is the cache's directory.
func (c Cache) Root() string { return c.root }

// Path is a file or directory of the cache.
func (c Cache) Path(parts ...string) string {
	return filepath.Join(append([]string{c.root}, parts...)...)
}

// Toolset is one complete set of programs and images for a cluster.
type Toolset struct{ root string }

// Bin holds the programs, kubectl among them.
func (t Toolset) Bin() string { return filepath.Join(t.root, "bin") }

// Images holds the images every node has from the start.
func (t Toolset) Images() string { return filepath.Join(t.root, "images") }

// ToolsetOfBin returns the toolset whose Bin is dir.
func ToolsetOfBin(dir string) Toolset { return Toolset{root: filepath.Dir(dir)} }

// ErrNotBuilt says that there is no toolset yet.
var ErrNotBuilt = errors.New("the cluster's programs are not built yet: run 'kuda-cluster build' first")

// Current returns the toolset that was built last.
func (c Cache) Current() (Toolset, error) {
	root, err := filepath.EvalSymlinks(c.Path("current"))
	if errors.Is(err, os.ErrNotExist) {
		return Toolset{}, ErrNotBuilt
	}
	if err != nil {
		return Toolset{}, fmt.Errorf("finding the toolset: %w", err)
	}
	return Toolset{root: root}, nil
}

// lock keeps two builds from doing the same work. It waits.
func (c Cache) lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return nil, fmt.Errorf("creating the cache: %w", err)
	}
	f, err := os.OpenFile(c.Path("lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	return func() { f.Close() }, nil
}

// Produce makes the file or directory called name by f, unless it is there.
// f works on a temporary path that only becomes name when f succeeded.
func (c Cache) Produce(name string, f func(tmp string) error) (made bool, err error) {
	final := c.Path(name)
	if _, err := os.Lstat(final); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return false, fmt.Errorf("creating the cache: %w", err)
	}
	tmpDir, err := os.MkdirTemp(c.root, "tmp-")
	if err != nil {
		return false, fmt.Errorf("creating the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmpDir) }() // else the next build does
	tmp := filepath.Join(tmpDir, filepath.Base(name))
	if err := f(tmp); err != nil {
		return false, err
	}
	if err := os.Rename(tmp, final); err != nil {
		// Another process may have made the same thing meanwhile; it is as good.
		if _, statErr := os.Lstat(final); statErr == nil {
			return false, nil
		}
		return false, fmt.Errorf("finishing %s: %w", name, err)
	}
	return true, nil
}

// sweep removes what interrupted builds left. Only the holder of the lock may.
func (c Cache) sweep() {
	left, _ := filepath.Glob(c.Path("tmp-*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
}

// publish makes the toolset of that name the current one.
func (c Cache) publish(name string) error {
	link := c.Path("current")
	if now, err := os.Readlink(link); err == nil && now == name {
		return nil
	}
	tmp := c.Path(fmt.Sprintf("current.%d", os.Getpid()))
	_ = os.Remove(tmp)
	if err := os.Symlink(name, tmp); err != nil {
		return fmt.Errorf("publishing the toolset: %w", err)
	}
	if err := os.Rename(tmp, link); err != nil {
		return fmt.Errorf("publishing the toolset: %w", err)
	}
	return nil
}
