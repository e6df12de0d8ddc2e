// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
)

// uidForm is that of the UIDs of pods.
var uidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// isUsed reports whether a process has a store open, or a pod of it is on the node.
func (o Options) isUsed(store *os.File) (bool, error) {
	locks, free, err := lockStore(store)
	locks.release()
	if err != nil || !free {
		return true, err
	}
	return o.hasPods(store)
}

// hasPods reports whether a pod of a store is on the node: as long as it is, the
// kubelet keeps a directory of it, also while no process of it runs.
func (o Options) hasPods(store *os.File) (found bool, err error) {
	pods, err := openDirectory(store, "pods")
	if isNone(err) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer pods.Close()
	return found, eachName(pods, func(name string) error {
		if !uidForm.MatchString(name) {
			return nil
		}
		_, err := os.Lstat(filepath.Join(o.Pods, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for the pods of the node: %w", err)
		}
		found = found || err == nil
		return nil
	})
}

// removeEarlier removes the earlier store if no pod uses it.
func (o Options) removeEarlier(earlier *os.File) error {
	if err := removeAll(earlier, gonePrefix+o.UID); err != nil {
		return fmt.Errorf("removing the earlier store: %w", err)
	}
	store, err := openDirectory(earlier, o.UID)
	if err != nil {
		return nil // there is none
	}
	defer store.Close()
	// A runtime that starts waits for these locks, and then makes another store.
	locks, free, err := lockStore(store)
	defer locks.release()
	if err != nil || !free {
		return err
	}
	if used, err := o.hasPods(store); err != nil || used {
		return err
	}
	from := int(earlier.Fd())
	if err := unix.Renameat2(from, o.UID, from, gonePrefix+o.UID, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("taking the earlier store away: %w", err)
	}
	// One that came in between gets it back.
	if used, err := o.hasPods(store); err != nil || used {
		return errors.Join(err, unix.Renameat2(from, gonePrefix+o.UID, from, o.UID, unix.RENAME_NOREPLACE))
	}
	if err := removeAll(earlier, gonePrefix+o.UID); err != nil {
		return fmt.Errorf("removing the earlier store: %w", err)
	}
	return nil
}

// locks are files that are held.
type locks []*os.File

func (l locks) release() {
	for _, f := range l {
		_ = f.Close()
	}
}

// lockStore takes the locks of a store that keep processes from opening it, unless one
// has it open.
func lockStore(store *os.File) (held locks, free bool, err error) {
	dir, err := openDirectory(store, "locks")
	if isNone(err) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	for _, name := range []string{"boot", "open"} {
		f, err := openFile(dir, name)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, errNoFile) {
			continue // no lock of a runtime's
		}
		if errors.Is(err, unix.EAGAIN) {
			return held, false, nil // a process has a lease on it (fcntl(2), F_SETLEASE)
		}
		if err != nil {
			return held, false, fmt.Errorf("looking at the locks of the earlier store: %w", err)
		}
		held = append(held, f)
		err = filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, filelock.ErrHeld) {
			return held, false, nil
		}
		if err != nil {
			return held, false, err
		}
	}
	return held, true, nil
}

var errNoFile = errors.New("it is no regular file")

// openFile opens a regular file for reading. What a name is of is found out before it is
// opened, and it is opened by what was found: opening a device does what the device is for.
func openFile(at *os.File, name string) (*os.File, error) {
	path, err := unix.Openat(int(at.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: name, Err: err}
	}
	defer func() { _ = unix.Close(path) }()
	var st unix.Stat_t
	err = unix.Fstat(path, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNoFile
	}
	fd := -1
	if err == nil {
		fd, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
