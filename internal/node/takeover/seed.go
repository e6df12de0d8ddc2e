// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// maxDepth bounds how deep directories are entered, maxLinked how many files with
	// several names are kept in mind: some 50 bytes each.
	maxDepth  = 128
	maxLinked = 1 << 20
	// maxNote bounds the small files that are copied.
	maxNote = 4 << 10
)

// errUnsure tells that a snapshot stays behind.
var errUnsure = errors.New("it is not sure what it is")

// seeder brings snapshots over.
type seeder struct {
	// names counts, by inode, the names that a file has in the two stores, if it has several.
	names map[uint64]int64
	// shared tells that root's processes without capabilities go on to read the files.
	shared bool
}

// fillStore brings over what is worth it: snapshots, what items call them, the salt of
// their names, and when the machine was last seen to run.
func (o Options) fillStore(old, seed *os.File) error {
	used, err := o.isUsed(old)
	if err != nil {
		return err
	}
	s := &seeder{names: map[uint64]int64{}, shared: used}
	if err := s.countNames(old, 1, maxDepth); err != nil {
		return err
	}
	for _, note := range []string{"salt", "boot"} {
		if err := copyNote(old, seed, note); err != nil {
			return err
		}
	}
	taken, err := s.linkSnapshots(old, seed)
	if err != nil {
		return err
	}
	return markSnapshots(old, seed, taken)
}

// countNames adds the names below a directory of files that have several, or, with -1
// for each, takes them off.
func (s *seeder) countNames(dir *os.File, each int64, depth int) error {
	return eachName(dir, func(name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil // a living runtime has just removed it
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			_, known := s.names[st.Ino]
			if known || each > 0 && st.Nlink > 1 && len(s.names) < maxLinked {
				s.names[st.Ino] += each
			}
		case unix.S_IFDIR:
			sub, err := openDirectory(dir, name)
			if err != nil || depth == 0 {
				return nil // what cannot be seen has no names here, and stays behind
			}
			defer sub.Close()
			return s.countNames(sub, each, depth-1)
		}
		return nil
	})
}

// linkSnapshots brings over the snapshots, and returns which.
func (s *seeder) linkSnapshots(old, seed *os.File) (map[string]bool, error) {
	to, err := ensureDirectory(seed, "snapshots", 0o755)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	taken := map[string]bool{}
	from, err := openDirectory(old, "snapshots")
	if err != nil {
		return taken, nil // a store without snapshots
	}
	defer from.Close()
	return taken, eachName(from, func(id string) error {
		if !snapshot.ID(id).Valid() || exists(old, "locks/"+id+".suspect") {
			return nil
		}
		err := s.linkSnapshot(from, to, id)
		if err != nil {
			if err := s.dropSnapshot(to, id); err != nil {
				return err
			}
			if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
				return fmt.Errorf("bringing over snapshot %s: %w", id, err)
			}
			return nil
		}
		taken[id] = true
		return nil
	})
}

// dropSnapshot removes what was brought over of a snapshot.
func (s *seeder) dropSnapshot(to *os.File, id string) error {
	dir, err := openDirectory(to, id)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(s.countNames(dir, -1, maxDepth), removeAll(to, id))
}

func (s *seeder) linkSnapshot(from, to *os.File, id string) error {
	src, err := openDirectory(from, id)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := ensureDirectory(to, id, 0o755)
	if err != nil {
		return err
	}
	defer dst.Close()
	if err := s.linkFile(src, dst, snapshot.ManifestName); err != nil {
		return err
	}
	if err := s.linkDirectory(src, dst, snapshot.DataDir, maxDepth); err != nil {
		return err
	}
	// It was whole when it still has its name.
	var now, was unix.Stat_t
	if err := errors.Join(unix.Fstatat(int(from.Fd()), id, &now, unix.AT_SYMLINK_NOFOLLOW), unix.Fstat(int(src.Fd()), &was)); err != nil {
		return err
	}
	if now.Ino != was.Ino {
		return errUnsure
	}
	// When it was last used is said by this time, as it has no lock yet.
	return unix.UtimesNanoAt(int(to.Fd()), id, []unix.Timespec{was.Mtim, was.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

func (s *seeder) linkDirectory(from, to *os.File, name string, depth int) error {
	if depth == 0 {
		return errUnsure
	}
	src, err := openDirectory(from, name)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := ensureDirectory(to, name, 0o755)
	if err != nil {
		return err
	}
	defer dst.Close()
	return eachName(src, func(name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(int(src.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			return s.linkFile(src, dst, name)
		case unix.S_IFDIR:
			return s.linkDirectory(src, dst, name, depth-1)
		case unix.S_IFLNK:
			return copyLink(src, dst, name)
		}
		return errUnsure
	})
}

// linkFile links a file and gives it to the runtime user. It looks at the new name, in a
// directory that no one else can come to.
func (s *seeder) linkFile(from, to *os.File, name string) error {
	if err := unix.Linkat(int(from.Fd()), name, int(to.Fd()), name, 0); err != nil {
		return err
	}
	fd, err := unix.Openat(int(to.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	names := uint64(2) // where it had one
	if _, known := s.names[st.Ino]; known {
		s.names[st.Ino]++
		names = uint64(s.names[st.Ino])
	}
	owned := st.Uid == 0 || st.Uid == sidecar.RuntimeUser
	if st.Mode&unix.S_IFMT != unix.S_IFREG || !owned || st.Nlink > names || s.shared && !othersRead(st.Mode) {
		return errUnsure
	}
	// The kernel clears the bits for setuid and setgid.
	return unix.Fchownat(fd, "", sidecar.RuntimeUser, sidecar.RuntimeUser, unix.AT_EMPTY_PATH)
}

// othersRead reports whether others may read, and run, what the owner may.
func othersRead(mode uint32) bool { return mode>>6&5&^mode == 0 }

func copyLink(from, to *os.File, name string) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(from.Fd()), name, buf)
	if err != nil {
		return err
	}
	return unix.Symlinkat(string(buf[:n]), int(to.Fd()), name)
}

// copyNote copies a small file, with its time, if there is one.
func copyNote(from, to *os.File, name string) error {
	src, err := openFile(from, name)
	if err != nil {
		return nil // the store makes it anew
	}
	defer src.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(src.Fd()), &st); err != nil {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	if st.Uid != 0 || st.Nlink != 1 || st.Size > maxNote {
		return nil // not what a runtime of root's wrote
	}
	text, err := io.ReadAll(io.LimitReader(src, maxNote))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	fd, err := unix.Openat(int(to.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	dst := os.NewFile(uintptr(fd), name)
	defer dst.Close()
	if _, err := dst.Write(text); err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	return unix.UtimesNanoAt(int(to.Fd()), name, []unix.Timespec{st.Mtim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// markSnapshots makes the marks of the snapshots that were brought over: empty files.
func markSnapshots(old, seed *os.File, taken map[string]bool) error {
	to, err := ensureDirectory(seed, "marks", 0o755)
	if err != nil {
		return err
	}
	defer to.Close()
	from, err := openDirectory(old, "marks")
	if err != nil {
		return nil // a store without marks
	}
	defer from.Close()
	return eachName(from, func(name string) error {
		id, mark, _ := strings.Cut(name, ".")
		if !taken[id] || len(mark) > 64 || strings.Trim(mark, "0123456789abcdef") != "" {
			return nil
		}
		fd, err := unix.Openat(int(to.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return fmt.Errorf("marking a snapshot: %w", err)
		}
		return unix.Close(fd)
	})
}

// eachName calls f for each name in a directory, until it returns an error.
func eachName(dir *os.File, f func(name string) error) error {
	for {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if err := f(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a directory: %w", err)
		}
	}
}
