// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHierarchiesAreFoundForEachVersion(t *testing.T) {
	for name, tc := range map[string]struct {
		mountinfo string
		mounts    []string
		v2        bool
	}{
		"v2": {
			mountinfo: "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
			mounts:    []string{"/sys/fs/cgroup"},
			v2:        true,
		},
		"v1 with joint controllers": {
			mountinfo: "31 24 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n" +
				"32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
				"33 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" +
				"34 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
			mounts: []string{"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/unified"},
		},
		"none": {mountinfo: "24 1 0:22 / /sys rw - sysfs sysfs rw\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseMounts(strings.NewReader(tc.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.mounts, got.mounts); d != "" || got.v2 != tc.v2 {
				t.Errorf("v2 = %v, mounts (-want +got):\n%s", got.v2, d)
			}
		})
	}
}

func TestNewV1CpusetIsNotLeftEmpty(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		if err := os.WriteFile(filepath.Join(root, f), []byte("0-1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := System{mounts: []string{root}}
	dirs, err := s.Create("kuda-node1/system")
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dirs[0], "cpuset.cpus"))
	if err != nil || string(body) != "0-1\n" {
		t.Errorf("cpuset.cpus = %q, %v", body, err)
	}
}

func TestKillingAMissingGroupSucceeds(t *testing.T) {
	s := System{mounts: []string{t.TempDir()}}
	if n, err := s.Kill("kuda-node1", time.Second); n != 0 || err != nil {
		t.Errorf("Kill = %d, %v", n, err)
	}
	if err := s.Remove("kuda-node1", time.Second); err != nil {
		t.Error(err)
	}
}
