// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// mountName is the last name of a target.
const mountName = "mount"

// mountVolume mounts a volume's directory at its target, unless that is done. After an
// error nothing is mounted there: the kubelet does not ask to unpublish what failed.
func (d *Driver) mountVolume(v volume) error {
	source, err := openSource(d.options.Base, v)
	if err != nil {
		return err
	}
	defer closeFD(source)
	parent, err := d.openTarget(v.target)
	if err != nil {
		return err
	}
	defer closeFD(parent)
	if err = unix.Mkdirat(parent, mountName, modeClosed); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("making the target: %w", err)
	}
	if checkMounted(source, parent, v) == nil {
		return nil
	}
	// Something else, or less than the whole: an earlier driver ended before it was done.
	if err = unmount(parent); err == nil {
		err = d.attach(source, parent, v)
	}
	if err == nil {
		err = checkMounted(source, parent, v)
	}
	if err != nil {
		return errors.Join(err, removeTarget(parent))
	}
	return nil
}

// unmountVolume takes a volume away. What is not there is away.
func (d *Driver) unmountVolume(t target) error {
	parent, err := d.openTarget(t)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closeFD(parent)
	return removeTarget(parent)
}

func (d *Driver) openTarget(t target) (int, error) {
	at, err := openRoot(d.pods)
	if err != nil {
		return -1, err
	}
	defer closeFD(at)
	return openBelow(at, openDirectory, t.names()...)
}

// removeTarget unmounts what is mounted, and removes the directory, which is empty then.
func removeTarget(parent int) error {
	if err := unmount(parent); err != nil {
		return err
	}
	if err := unix.Unlinkat(parent, mountName, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing the target, which is empty where nothing else uses it: %w", err)
	}
	return nil
}

// unmount undoes all mounts at the target in its parent.
func unmount(parent int) error {
	for {
		err := unix.Unmount(pathOf(parent)+"/"+mountName, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return nil // nothing is mounted
		}
		if err != nil {
			return fmt.Errorf("unmounting: %w", err)
		}
	}
}

func pathOf(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// attach mounts a directory at the target in parent.
func (d *Driver) attach(source, parent int, v volume) error {
	at, err := openDirectory(parent, mountName)
	if err != nil {
		return err
	}
	defer closeFD(at)
	err = d.attachTree(source, at, v)
	if errors.Is(err, unix.ENOSYS) {
		err = attachClassic(source, at, parent, v)
	}
	return err
}

// attachTree prepares a mount where no process sees it, and moves it to the target. It
// returns ENOSYS on kernels before 5.12.
func attachTree(source, at int, v volume) error {
	tree, err := unix.OpenTree(source, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("cloning the mount: %w", err)
	}
	defer closeFD(tree)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV, Propagation: unix.MS_PRIVATE}
	if v.readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if v.user != sidecar.RuntimeUser {
		ns, err := openUserNamespace(v.user)
		if err != nil {
			return err
		}
		defer ns.Close()
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(ns.Fd())
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("setting the mount's attributes: %w", err)
	}
	if err := unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("moving the mount to its target: %w", err)
	}
	return nil
}

// attachClassic is attachTree for older kernels, which mount first and set flags then.
func attachClassic(source, at, parent int, v volume) error {
	if v.user != sidecar.RuntimeUser {
		return fmt.Errorf("the attribute %s needs a kernel of version 5.12 or later", sidecar.AttributeUser)
	}
	if err := unix.Mount(pathOf(source), pathOf(at), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding the directory: %w", err)
	}
	mounted, err := openDirectory(parent, mountName)
	if err != nil {
		return err
	}
	defer closeFD(mounted)
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NODEV)
	if v.readOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", pathOf(mounted), "", flags, ""); err != nil {
		return fmt.Errorf("setting the mount's flags: %w", err)
	}
	return nil
}

// checkMounted returns an error unless what is at the target in parent is the source,
// with all that the volume asks for.
func checkMounted(source, parent int, v volume) error {
	at, err := openDirectory(parent, mountName)
	if err != nil {
		return err
	}
	defer closeFD(at)
	var want, got unix.Stat_t
	var flags unix.Statfs_t
	if err := errors.Join(unix.Fstat(source, &want), unix.Fstat(at, &got), unix.Fstatfs(at, &flags)); err != nil {
		return fmt.Errorf("looking at the target: %w", err)
	}
	const always = unix.ST_NOSUID | unix.ST_NODEV
	if got.Dev != want.Dev || got.Ino != want.Ino || got.Uid != v.user || flags.Flags&always != always ||
		flags.Flags&unix.ST_RDONLY != 0 != v.readOnly {
		return errors.New("what is mounted is not what was asked for")
	}
	return nil
}

// openUserNamespace returns a user namespace in which the user of stores is another one,
// and that has no other users. It is taken from a process that never runs.
func openUserNamespace(user uint32) (*os.File, error) {
	runtime.LockOSThread() // which traces the process, and so stops it before its first instruction
	defer runtime.UnlockOSThread()
	ids := []syscall.SysProcIDMap{{ContainerID: sidecar.RuntimeUser, HostID: int(user), Size: 1}}
	holder := exec.Command("/proc/self/exe")
	holder.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
	err := holder.Start()
	var ns *os.File
	if err == nil {
		ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/user", holder.Process.Pid))
		_ = holder.Process.Kill()
		_, _ = holder.Process.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("making a user namespace: %w", err)
	}
	return ns, nil
}

// checkPropagation returns an error unless what is mounted below a directory reaches
// the node: a pod would get an empty directory, and no error.
func checkPropagation(mountinfo, dir string) error {
	shared := false
	for line := range strings.Lines(mountinfo) {
		// ID, parent, device, root, mount point, options, optional fields, "-", …
		f := strings.Fields(line)
		if len(f) > 6 && f[4] == dir {
			shared = strings.HasPrefix(f[6], "shared:") // the last one covers those before it
		}
	}
	if !shared {
		return fmt.Errorf("mounts below %s do not reach the node: mount it, at this very path, with mountPropagation: Bidirectional", dir)
	}
	return nil
}
