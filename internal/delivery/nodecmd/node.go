// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/filelock"
)

const (
	// closed is the mode of a directory that its owner alone may enter.
	closed fs.FileMode = 0o700
	// maxListed bounds how much of one directory is read.
	maxListed = 1 << 20
	// maxDepth bounds how deep directories are opened.
	maxDepth = 256
)

var (
	// namePattern is the form of a namespace's name (RFC 1123), uidPattern that of a UID.
	namePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	uidPattern  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

	errInUse = errors.New("a pod that lives still uses it; try again when the pod is gone")
)

func checkArguments(namespace, uid string) error {
	if !namePattern.MatchString(namespace) {
		return fmt.Errorf("%q is not the name of a namespace", namespace)
	}
	if uid != "" && !uidPattern.MatchString(uid) {
		return fmt.Errorf("%q is not a UID", uid)
	}
	return nil
}

// node is the directory of a node's stores.
type node struct{ root *os.Root }

func openNode(base string) (*node, error) {
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, fmt.Errorf("opening the directory of the stores: %w", err)
	}
	return &node{root: root}, nil
}

func (n *node) close() { _ = n.root.Close() }

// restrictAccess closes the directory and those of the namespaces in it.
func (n *node) restrictAccess() error {
	if err := n.root.Chmod(".", closed); err != nil {
		return fmt.Errorf("closing the directory of the stores: %w", err)
	}
	names, err := listNames(n.root)
	if err != nil {
		return fmt.Errorf("looking for the directories of namespaces: %w", err)
	}
	for _, name := range names {
		if !namePattern.MatchString(name) {
			continue // that of the stores of kuda-node, which is not root's
		}
		dir, err := openDirectory(n.root, name)
		if err != nil || dir == nil {
			continue // a file, a link, or gone meanwhile: not a namespace's
		}
		err = dir.Chmod(".", closed)
		_ = dir.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("closing the directory of namespace %s: %w", name, err)
		}
	}
	return nil
}

// removeStore removes a namespace's store, and with unnamed also what has no UID and the
// directory itself. What is not there is removed.
func (n *node) removeStore(namespace, uid string, unnamed bool) error {
	dir, err := openDirectory(n.root, namespace)
	switch {
	case err != nil:
		return err
	case dir == nil:
		return nil
	}
	defer dir.Close()
	var doomed []string
	if uid != "" {
		doomed = append(doomed, uid)
		if err := checkStoreUnused(dir, uid); err != nil {
			return err
		}
	}
	if unnamed {
		legacy, err := legacyOf(dir)
		if err != nil {
			return err
		}
		doomed = append(doomed, legacy...)
	}
	for _, name := range doomed {
		if err := removeAll(dir, name); err != nil {
			return fmt.Errorf("removing %s: %w", path.Join(namespace, name), err)
		}
	}
	if !unnamed {
		return nil
	}
	// A namespace that was made since has a directory of its own in it, and an operator
	// may have mounted a file system there.
	err = n.root.Remove(namespace)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("removing %s: %w", namespace, err)
	}
	return nil
}

// checkStoreUnused returns an error when the store of a UID is in use.
func checkStoreUnused(dir *os.Root, uid string) error {
	store, err := openDirectory(dir, uid)
	if err != nil || store == nil {
		return err
	}
	defer store.Close()
	return checkUnused(store)
}

// removeAll removes a tree. Without the capability to override modes even root cannot
// take anything out of a directory that is closed to its owner; such ones are opened.
func removeAll(dir *os.Root, name string) error {
	err := dir.RemoveAll(name)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := grantOwnerAccess(dir, name, maxDepth); err != nil {
		return err
	}
	return dir.RemoveAll(name)
}

// grantOwnerAccess opens a directory and those below it to their owner.
func grantOwnerAccess(parent *os.Root, name string, depth int) error {
	info, err := parent.Lstat(name)
	if err != nil || !info.IsDir() {
		return err
	}
	if depth == 0 {
		return errors.New("the directories are too deep to be opened")
	}
	if err := parent.Chmod(name, closed); err != nil {
		return err
	}
	dir, err := openDirectory(parent, name)
	if err != nil || dir == nil {
		return err
	}
	defer dir.Close()
	names, err := listNames(dir)
	if err != nil {
		return err
	}
	for _, below := range names {
		if err := grantOwnerAccess(dir, below, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// legacyOf returns what releases that did not know UIDs put into the directory of a
// name, once no pod uses it.
func legacyOf(dir *os.Root) ([]string, error) {
	names, err := listNames(dir)
	if err != nil {
		return nil, err
	}
	var legacy []string
	for _, name := range names {
		if !uidPattern.MatchString(name) {
			legacy = append(legacy, name)
		}
	}
	if len(legacy) == 0 {
		return nil, nil
	}
	return legacy, checkUnused(dir)
}

// checkUnused fails if a pod uses a store: its runtime holds the lock of its directory,
// and the store's own as long as it has it open.
func checkUnused(store *os.Root) error {
	switch open, err := isLocked(store, "locks/open"); {
	case err != nil:
		return err
	case open:
		return errInUse
	}
	pods, err := openDirectory(store, podstate.PodsDir)
	if err != nil || pods == nil {
		return err
	}
	defer pods.Close()
	names, err := listNames(pods)
	if err != nil {
		return err
	}
	for _, name := range names {
		used, err := isLocked(pods, path.Join(name, podstate.LockFile))
		if err != nil {
			return err
		}
		if used {
			return fmt.Errorf("pod %s: %w", name, errInUse)
		}
	}
	return nil
}

// isLocked reports whether a process holds the lock file. A file that is not there is
// not locked, and a link is not a lock file.
func isLocked(dir *os.Root, name string) (bool, error) {
	info, err := dir.Lstat(name)
	if err == nil && !info.Mode().IsRegular() || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the lock of a pod: %w", err)
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the lock of a pod: %w", err)
	}
	defer f.Close()
	return errors.Is(filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB), filelock.ErrHeld), nil
}

// openDirectory opens a directory by its name; nil if that name does not exist, or is
// something else, such as a link to another namespace's.
func openDirectory(root *os.Root, name string) (*os.Root, error) {
	before, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", name, err)
	}
	if !before.IsDir() {
		return nil, nil
	}
	dir, err := root.OpenRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	after, err := dir.Stat(".")
	if err != nil || !os.SameFile(before, after) {
		_ = dir.Close()
		return nil, errors.Join(fmt.Errorf("%s was replaced while it was opened", name), err)
	}
	return dir, nil
}

// listNames returns the names in a directory.
func listNames(dir *os.Root) ([]string, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir.Name(), err)
	}
	defer f.Close()
	names, err := f.Readdirnames(maxListed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %w", dir.Name(), err)
	}
	return names, nil
}
