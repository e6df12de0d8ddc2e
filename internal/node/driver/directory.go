// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// Modes of directories: only the user of stores comes as far as a store. What is in
// one is mounted, and read by users of all kinds there.
const modeClosed, modeOpen = 0o700, 0o755

// seLinuxLabel lets all pods use what their volume gives them. Each namespace has
// its own directory; a label of each pod's own would keep pods from sharing it.
const seLinuxLabel = "system_u:object_r:container_file_t:s0"

func closeFD(fd int) { _ = unix.Close(fd) }

// openDirectory opens a directory by its name in another. A link is not followed.
func openDirectory(at int, name string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat2(at, name, &unix.OpenHow{Flags: flags,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOSYS) { // before 5.6; the same for what is one name
		fd, err = unix.Openat(at, name, flags, 0)
	}
	if err != nil {
		return -1, &os.PathError{Op: "opening", Path: name, Err: err}
	}
	return fd, nil
}

// openBelow opens a directory below another, name by name.
func openBelow(at int, open func(at int, name string) (int, error), names ...string) (int, error) {
	fd := -1
	for i, name := range names {
		next, err := open(at, name)
		if i > 0 {
			closeFD(at)
		}
		if err != nil {
			return -1, err
		}
		fd, at = next, next
	}
	return fd, nil
}

// openRoot opens a directory that belongs to the node.
func openRoot(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "opening", Path: path, Err: err}
	}
	return fd, nil
}

// ensureDirectory returns an opener that makes a directory where it is missing.
func ensureDirectory(mode uint32) func(at int, name string) (int, error) {
	return func(at int, name string) (int, error) {
		if err := unix.Mkdirat(at, name, mode); err != nil && !errors.Is(err, unix.EEXIST) {
			return -1, &os.PathError{Op: "making", Path: name, Err: err}
		}
		return openDirectory(at, name)
	}
}

// ensureStores opens the directory of all stores below base, and makes it where it is
// missing. No tenant can write to base, so one of root's is what the kubelet made for
// the keeper, or a driver that ended too early.
func ensureStores(base string) (int, error) {
	at, err := openRoot(base)
	if err != nil {
		return -1, err
	}
	defer closeFD(at)
	fd, err := ensureDirectory(modeClosed)(at, sidecar.NodeStoresDir)
	if err != nil {
		return -1, err
	}
	if err = checkOwner(fd, 0); err == nil {
		err = errors.Join(os.Chmod(pathOf(fd), modeClosed),
			unix.Fchownat(fd, "", sidecar.RuntimeUser, sidecar.RuntimeUser, unix.AT_EMPTY_PATH))
	} else {
		err = checkOwner(fd, sidecar.RuntimeUser)
	}
	if err != nil {
		closeFD(fd)
		return -1, fmt.Errorf("making the directory of stores %s/%s: %w", base, sidecar.NodeStoresDir, err)
	}
	return fd, nil
}

// openSource opens the directory that is to be mounted, and makes what is missing. The
// directory of the pod's view is made with each kind: before the pod has a container.
func openSource(base string, v volume) (int, error) {
	stores, err := ensureStores(base)
	if err != nil {
		return -1, err
	}
	defer closeFD(stores)
	source, other := -1, -1
	err = asRuntimeUser(func() (err error) {
		if source, err = openBelow(stores, ensureDirectory(modeClosed), v.namespace, v.namespaceUID); err != nil {
			return err
		}
		other, err = openBelow(source, ensureDirectory(modeOpen), "pods", v.podUID, "view")
		return err
	})
	if v.kind == sidecar.CSIKindView {
		source, other = other, source
	}
	closeFD(other)
	if err == nil {
		err = checkOwner(source, sidecar.RuntimeUser)
	}
	if err != nil {
		closeFD(source)
		return -1, fmt.Errorf("opening the store %s/%s: %w", v.namespace, v.namespaceUID, err)
	}
	return source, nil
}

// checkOwner returns an error unless a directory belongs to a user.
func checkOwner(fd int, user uint32) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Uid != user {
		err = fmt.Errorf("it belongs to user %d, and not to %d", st.Uid, user)
	}
	return err
}

// asRuntimeUser calls a function on a thread that ends with it and has no rights on
// files but those of the user of stores. What it makes belongs to that user from the
// first moment, and has the label of stores where there is SELinux.
func asRuntimeUser(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		var err error
		if _, none := os.Lstat("/sys/fs/selinux"); none == nil {
			err = os.WriteFile("/proc/thread-self/attr/fscreate", []byte(seLinuxLabel), 0)
		}
		// Of this thread alone; the second call returns what the first one made of it.
		_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0)
		_, _ = unix.SetfsgidRetGid(sidecar.RuntimeUser)
		_, _ = unix.SetfsuidRetUid(sidecar.RuntimeUser)
		gid, _ := unix.SetfsgidRetGid(sidecar.RuntimeUser)
		uid, _ := unix.SetfsuidRetUid(sidecar.RuntimeUser)
		if err == nil && (errno != 0 || uid != sidecar.RuntimeUser || gid != sidecar.RuntimeUser) {
			err = errors.New("the kernel does not let the driver become another user: it must run as root, privileged")
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}
