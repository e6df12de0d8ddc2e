// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// Options say what is taken over.
type Options struct {
	// Base is the node's directory of stores, Pods the kubelet's of pods.
	Base, Pods string
	// Namespace and UID are those of the store's namespace.
	Namespace, UID string
}

// Names beside a store. The second is what package remains gives to stores that are
// being deleted, and what it deletes.
const (
	seedPrefix = ".seed-"
	gonePrefix = ".gone-"
)

// Capabilities are those that Run needs beside the runtime user's rights: to give files
// that user, to link what is root's, and to look into and remove what is root's.
var Capabilities = []uintptr{unix.CAP_CHOWN, unix.CAP_FOWNER, unix.CAP_DAC_OVERRIDE}

// Run makes the store of the earlier one unless it is there, and removes the earlier
// one if no pod uses it.
func Run(o Options) error {
	base, err := os.Open(o.Base)
	if err != nil {
		return fmt.Errorf("opening the directory of stores: %w", err)
	}
	defer base.Close()
	earlier, err := openDirectory(base, o.Namespace)
	if err != nil {
		return err
	}
	defer earlier.Close()
	stores, err := openDirectory(base, sidecar.NodeStoresDir)
	if err != nil {
		return err
	}
	defer stores.Close()
	parent, err := ensureDirectory(stores, o.Namespace, 0o700)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := o.seedStore(earlier, parent); err != nil {
		return err
	}
	return o.removeEarlier(earlier)
}

// seedStore makes the store in parent unless it is there.
func (o Options) seedStore(earlier, parent *os.File) error {
	if err := removeAll(parent, seedPrefix+o.UID); err != nil {
		return err
	}
	old, err := openDirectory(earlier, o.UID)
	if isNone(err) || exists(parent, o.UID) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	seed, err := ensureDirectory(parent, seedPrefix+o.UID, 0o700)
	if err != nil {
		return err
	}
	defer seed.Close()
	if err := o.fillStore(old, seed); err != nil {
		return err
	}
	// What is in the store is on the disk before its name is.
	if err := unix.Syncfs(int(seed.Fd())); err != nil {
		return fmt.Errorf("writing the store to the disk: %w", err)
	}
	err = unix.Renameat2(int(parent.Fd()), seedPrefix+o.UID, int(parent.Fd()), o.UID, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EEXIST) { // a driver gave up waiting
		return removeAll(parent, seedPrefix+o.UID)
	}
	if err != nil {
		return fmt.Errorf("naming the store: %w", err)
	}
	return nil
}

// openDirectory opens a directory by its name in another. A link is not followed.
func openDirectory(at *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(at.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: filepath.Join(at.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(at.Name(), name)), nil
}

// isNone reports whether there was no directory to be opened: nothing, or something else.
func isNone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// ensureDirectory is openDirectory that makes it where it is missing.
func ensureDirectory(at *os.File, name string, mode uint32) (*os.File, error) {
	if err := unix.Mkdirat(int(at.Fd()), name, mode); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &os.PathError{Op: "making", Path: filepath.Join(at.Name(), name), Err: err}
	}
	return openDirectory(at, name)
}

func exists(at *os.File, name string) bool {
	var st unix.Stat_t
	return !errors.Is(unix.Fstatat(int(at.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW), unix.ENOENT)
}

// removeAll removes a tree, and follows no link.
func removeAll(at *os.File, name string) error {
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", at.Fd()))
	if err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	defer root.Close()
	return root.RemoveAll(name)
}
