// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package memorylimit

import (
	"math"
	"os"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/go-logr/logr"
)

func files(content map[string]string) fstest.MapFS {
	fs := fstest.MapFS{}
	for name, text := range content {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

func TestTheLimitOfTheContainerIsFound(t *testing.T) {
	const none = "9223372036854771712\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"v2":                 {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		"v2 without a limit": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"v2 at the root":     {map[string]string{"proc/self/cgroup": "0::/\n"}, 0},
		"v2, the parent is tighter": {map[string]string{"proc/self/cgroup": "0::/pod/c\n",
			"sys/fs/cgroup/pod/memory.max": "1000\n", "sys/fs/cgroup/pod/c/memory.max": "max\n"}, 1000},
		"v1": {map[string]string{"proc/self/cgroup": "4:memory:/pod/c\n0::/\n",
			"sys/fs/cgroup/memory/pod/c/memory.limit_in_bytes": "268435456\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": none}, 256 << 20},
		"v1 with the host's path": {map[string]string{"proc/self/cgroup": "4:cpu,memory:/kubepods/pod/c\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 << 20},
		"v1 without a limit": {map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": none}, 0},
		"both, memory is v1's": {map[string]string{"proc/self/cgroup": "0::/\n4:memory:/\n",
			"sys/fs/cgroup/memory.max": "1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "500\n"}, 500},
	} {
		if got, err := Find(files(c.files)); err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
	for name, c := range map[string]map[string]string{
		"no cgroups":        {},
		"no memory in v1":   {"proc/self/cgroup": "4:cpu:/\n"},
		"v1 is not mounted": {"proc/self/cgroup": "4:memory:/\n"},
		"not a number":      {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "much\n"},
	} {
		if got, err := Find(files(c)); err == nil {
			t.Errorf("%s: %d, want an error", name, got)
		}
	}
}

func TestTheEnvironmentsLimitIsKept(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64 - 1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMEMLIMIT", "100MiB")
	Set(logr.Discard())
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64-1 {
		t.Errorf("the limit became %d", got)
	}
}

func TestTheLimitOfThisProcessIsSet(t *testing.T) {
	limit, err := Find(os.DirFS("/"))
	if err != nil {
		t.Logf("this machine: %v", err)
	}
	want := int64(math.MaxInt64 - 1)
	if limit > 0 {
		want = Soft(limit)
	}
	before := debug.SetMemoryLimit(math.MaxInt64 - 1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	t.Setenv("GOMEMLIMIT", "")
	Set(logr.Discard())
	if got := debug.SetMemoryLimit(-1); got != want {
		t.Errorf("the limit is %d, want %d", got, want)
	}
}
