// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// LaunchArgument is the sole argument by which this program calls itself to
// start another; see Main.
const LaunchArgument = "__launch"

const (
	statusFD = 3
	placeFD  = 4
)

// Mount is one mount of a namespace to be made.
type Mount struct {
	// Source is a directory, or a file, to bind, or empty for a new tmpfs.
	Source string `json:"source,omitempty"`
	Target string `json:"target"`
	// Mkdir are directories made below Target after it was mounted.
	Mkdir []string `json:"mkdir,omitempty"`
}

// Place says where on the machine a program runs.
type Place struct {
	// Cgroups are directories whose group is joined, one for each hierarchy.
	Cgroups []string `json:"cgroups,omitempty"`
	// Netns and Mntns are namespace files to enter; empty stays.
	Netns string `json:"netns,omitempty"`
	Mntns string `json:"mntns,omitempty"`
	// Mounts, when there are any, are made in this order in a new mount
	// namespace that shares nothing with the machine's.
	Mounts []Mount `json:"mounts,omitempty"`
}

type launch struct {
	Place Place    `json:"place"`
	Argv  []string `json:"argv"`
	Env   []string `json:"env"`
}

// Main is the child's half of a start: it takes its place and becomes the
// program. It returns only when that fails, after it told the parent why.
func Main() int {
	runtime.LockOSThread()
	unix.CloseOnExec(statusFD)
	unix.CloseOnExec(placeFD)
	status := os.NewFile(statusFD, "status")
	var l launch
	err := json.NewDecoder(os.NewFile(placeFD, "place")).Decode(&l)
	if err == nil {
		err = l.Place.Exec(l.Argv, l.Env)
	}
	fmt.Fprint(status, err)
	return 1
}

// Exec takes the place and becomes the program argv in it. It returns only
// when that fails; the calling thread is then of no further use.
func (p Place) Exec(argv, env []string) error {
	runtime.LockOSThread()
	if err := p.enter(); err != nil {
		return err
	}
	program, err := lookup(argv[0], env)
	if err != nil {
		return err
	}
	if err := syscall.Exec(program, argv, env); err != nil {
		return fmt.Errorf("executing %s: %w", program, err)
	}
	return nil
}

func (p Place) enter() error {
	// Cgroup and namespace files are opened before any namespace is entered:
	// their paths are the machine's.
	for _, dir := range p.Cgroups {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("joining cgroup %s: %w", dir, err)
		}
	}
	var enter []int
	for _, ns := range []string{p.Netns, p.Mntns} {
		if ns == "" {
			continue
		}
		fd, err := unix.Open(ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening namespace %s: %w", ns, err)
		}
		enter = append(enter, fd)
	}
	if p.Mntns != "" {
		// Threads of one program share their working directory; the kernel lets
		// none into another mount namespace while they do.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("leaving the shared working directory: %w", err)
		}
	}
	for _, fd := range enter {
		if err := unix.Setns(fd, 0); err != nil {
			return fmt.Errorf("entering namespace: %w", err)
		}
	}
	if len(p.Mounts) > 0 {
		if err := makeMounts(p.Mounts); err != nil {
			return err
		}
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("changing to /: %w", err)
	}
	return nil
}

func makeMounts(mounts []Mount) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	for _, m := range mounts {
		var err error
		if m.Source == "" {
			err = unix.Mount("tmpfs", m.Target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
		} else {
			err = unix.Mount(m.Source, m.Target, "", unix.MS_BIND|unix.MS_REC, "")
		}
		if err != nil {
			return fmt.Errorf("mounting %s: %w", m.Target, err)
		}
		for _, sub := range m.Mkdir {
			if err := os.MkdirAll(filepath.Join(m.Target, sub), 0o755); err != nil {
				return fmt.Errorf("making a directory: %w", err)
			}
		}
	}
	// Pods that ask for mount propagation need what every node has: a root
	// whose mounts are shared, though among the node's processes only.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("making mounts shared: %w", err)
	}
	return nil
}

// lookup finds a program by the PATH it will be run with.
func lookup(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			if err := os.Setenv("PATH", path); err != nil {
				return "", err
			}
		}
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	return program, nil
}

// Command returns a command that runs argv in place p as a child of this
// process, with this process's standard streams still to be set.
func Command(ctx context.Context, p Place, argv, env []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	body, err := json.Marshal(launch{Place: p, Argv: argv, Env: env})
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	// It fits into the pipe, so this does not wait for the reader.
	if _, err := write.Write(body); err != nil {
		return nil, err
	}
	write.Close()
	cmd := exec.CommandContext(ctx, self, LaunchArgument)
	cmd.ExtraFiles = []*os.File{os.Stderr, read}
	return cmd, nil
}
