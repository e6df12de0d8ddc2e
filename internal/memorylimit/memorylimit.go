// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package memorylimit

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
)

const (
	// share of the cgroup's limit, in percent. What the rest is for: memory of
	// the kernel for the container's sockets, and the binary itself.
	share = 90
	// unlimited is above what any machine has: cgroup v1 writes "no limit" as a
	// number close to the largest that it can write.
	unlimited = 1 << 50
)

// Set makes the garbage collector respect the container's memory limit. Without
// such a limit, or when GOMEMLIMIT is set, it changes nothing.
func Set(log logr.Logger) {
	if given := os.Getenv("GOMEMLIMIT"); given != "" {
		log.V(1).Info("kept the memory limit of the environment", "GOMEMLIMIT", given)
		return
	}
	limit, err := Find(os.DirFS("/"))
	switch {
	case err != nil:
		log.Info("found no memory limit of the container; set GOMEMLIMIT to bound the heap", "reason", err.Error())
	case limit == 0:
		log.V(1).Info("left the heap without a limit: the container has none")
	default:
		soft := Soft(limit)
		debug.SetMemoryLimit(soft)
		log.V(1).Info("set the memory limit of the heap", "bytes", soft, "container", limit)
	}
}

// Soft returns the limit of the heap for a container's limit, both in bytes.
func Soft(limit int64) int64 { return limit / 100 * share }

// Find reads the smallest memory limit, in bytes, of this process's cgroup and
// those above it; 0 means that there is no limit. Root is the file system's.
func Find(root fs.FS) (int64, error) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, fmt.Errorf("finding the cgroup of this process: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case hasController(parts[1], "memory"):
			return smallestLimit(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")
		case parts[0] == "0" && parts[1] == "" && !hierarchyOfMemory(string(text)):
			return smallestLimit(root, "sys/fs/cgroup", parts[2], "memory.max")
		}
	}
	return 0, fmt.Errorf("finding the cgroup of this process: %w", fs.ErrNotExist)
}

// hierarchyOfMemory reports whether cgroup v1 controls memory, also on a machine
// that has both versions mounted.
func hierarchyOfMemory(text string) bool {
	for line := range strings.Lines(text) {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 && hasController(parts[1], "memory") {
			return true
		}
	}
	return false
}

func hasController(controllers, name string) bool {
	for c := range strings.SplitSeq(controllers, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// smallestLimit reads a limit from the cgroup's directory and each above it. In a
// container the path may be the host's, which is not mounted: what is mounted at
// the top is the container's own cgroup then.
func smallestLimit(root fs.FS, mount, cgroup, file string) (int64, error) {
	least, found := int64(math.MaxInt64), false
	for dir := path.Join(mount, cgroup); ; dir = path.Dir(dir) {
		text, err := fs.ReadFile(root, path.Join(dir, file))
		if err == nil {
			n, err := parseLimit(strings.TrimSpace(string(text)))
			if err != nil {
				return 0, fmt.Errorf("reading %s: %w", path.Join(dir, file), err)
			}
			least, found = min(least, n), true
		}
		if dir == mount || !strings.HasPrefix(dir, mount+"/") {
			break
		}
	}
	switch {
	case !found && mount == "sys/fs/cgroup":
		// The root cgroup of version 2 has no such file, and no limit.
		return 0, nil
	case !found:
		return 0, fmt.Errorf("reading %s: %w", path.Join(mount, file), fs.ErrNotExist)
	case least >= unlimited:
		return 0, nil
	}
	return least, nil
}

func parseLimit(text string) (int64, error) {
	if text == "max" {
		return math.MaxInt64, nil
	}
	return strconv.ParseInt(text, 10, 64)
}
