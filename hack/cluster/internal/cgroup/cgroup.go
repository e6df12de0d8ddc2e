// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// System is the machine's cgroup hierarchies: one with v2, several with v1.
type System struct {
	mounts []string
	v2     bool
}

// Detect finds the hierarchies that are mounted.
func Detect() (System, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return System{}, fmt.Errorf("finding cgroups: %w", err)
	}
	defer f.Close()
	s, err := parseMounts(f)
	if err != nil {
		return System{}, fmt.Errorf("finding cgroups: %w", err)
	}
	if len(s.mounts) == 0 {
		return System{}, errors.New("no cgroups are mounted below /sys/fs/cgroup: the kubelet cannot run here; mount cgroup2 there, or run on " +
			"a machine (not in a container) that has them")
	}
	return s, nil
}

// V2 reports whether the machine has the one hierarchy of cgroup v2.
func (s System) V2() bool { return s.v2 }

func parseMounts(r io.Reader) (System, error) {
	var s System
	seen := map[string]bool{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		before, after, ok := strings.Cut(scan.Text(), " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(tail) < 1 {
			continue
		}
		path, kind := fields[4], tail[0]
		if (kind != "cgroup" && kind != "cgroup2") || !strings.HasPrefix(path, "/sys/fs/cgroup") || seen[path] {
			continue
		}
		seen[path] = true
		s.mounts = append(s.mounts, path)
		if kind == "cgroup2" && path == "/sys/fs/cgroup" {
			s.v2 = true
		}
	}
	return s, scan.Err()
}

// Create makes the group called name in every hierarchy and returns the
// directories, to be joined.
func (s System) Create(name string) ([]string, error) {
	var dirs []string
	for _, m := range s.mounts {
		dir := filepath.Join(m, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making cgroup %s: %w", dir, err)
		}
		if err := s.prepare(m, name); err != nil {
			return nil, fmt.Errorf("making cgroup %s: %w", dir, err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// prepare makes a new group fit to hold processes or further groups.
func (s System) prepare(mount, name string) error {
	parent := mount
	parts := strings.Split(name, "/")
	for i, part := range parts {
		dir := filepath.Join(parent, part)
		switch {
		case s.v2 && i == 0:
			// Children get only the controllers their parents pass on.
			if err := passOn(parent); err != nil {
				return err
			}
			if len(parts) > 1 {
				if err := passOn(dir); err != nil {
					return err
				}
			}
		case !s.v2:
			// A v1 cpuset starts empty, and processes can run in it only once it has processors.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := inherit(filepath.Join(parent, file), filepath.Join(dir, file)); err != nil {
					return err
				}
			}
		}
		parent = dir
	}
	return nil
}

func passOn(dir string) error {
	body, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, c := range strings.Fields(string(body)) {
		// One by one: a controller that cannot be passed on (rt threads with cpu)
		// is not to take the others with it.
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
	}
	return nil
}

func inherit(from, to string) error {
	value, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if own, err := os.ReadFile(to); err == nil && strings.TrimSpace(string(own)) != "" {
		return nil
	}
	return os.WriteFile(to, value, 0)
}

// List returns the names of the top groups that ours says yes to.
func (s System) List(ours func(name string) bool) ([]string, error) {
	seen := map[string]bool{}
	for _, m := range s.mounts {
		entries, err := os.ReadDir(m)
		if err != nil {
			return nil, fmt.Errorf("listing cgroups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() && ours(e.Name()) {
				seen[e.Name()] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	sort.Strings(names)
	return names, nil
}

// Processes returns the ids of all processes in the group and below it.
func (s System) Processes(name string) ([]int, error) {
	seen := map[int]bool{}
	for _, m := range s.mounts {
		err := walk(filepath.Join(m, name), func(dir string) error {
			body, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if gone(err) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, field := range strings.Fields(string(body)) {
				// 0 stands for a process of another pid namespace; it has no id here.
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					seen[pid] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading cgroup %s: %w", name, err)
		}
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	sort.Ints(pids)
	return pids, nil
}

// Kill ends every process of the group at once and returns how many there
// were. It returns when none is left.
func (s System) Kill(name string, limit time.Duration) (int, error) {
	killed := map[int]bool{}
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		pids, err := s.Processes(name)
		if err != nil {
			return len(killed), err
		}
		if len(pids) == 0 {
			return len(killed), nil
		}
		if time.Now().After(deadline) {
			return len(killed), fmt.Errorf("processes %v of cgroup %s do not end", pids, name)
		}
		if s.v2 {
			_ = os.WriteFile(filepath.Join(s.mounts[0], name, "cgroup.kill"), []byte("1"), 0)
		}
		for _, pid := range pids {
			// Membership was read a moment ago and ids are handed out in turn, so
			// the id cannot have come round to another process yet.
			if err := unix.Kill(pid, unix.SIGKILL); err == nil {
				killed[pid] = true
			}
		}
	}
}

// Remove removes the group and all below it. Groups that are still busy are
// tried again until limit.
func (s System) Remove(name string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		err := s.removeOnce(name)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s System) removeOnce(name string) error {
	for _, m := range s.mounts {
		var dirs []string
		err := walk(filepath.Join(m, name), func(dir string) error {
			dirs = append(dirs, dir)
			return nil
		})
		if err != nil {
			return fmt.Errorf("removing cgroup %s: %w", name, err)
		}
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("removing cgroup: %w", err)
			}
		}
	}
	return nil
}

// walk visits dir and the directories below it, parents first. Groups vanish
// while they are walked; that is no error.
func walk(dir string, visit func(dir string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if gone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		return visit(path)
	})
}

func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV)
}
