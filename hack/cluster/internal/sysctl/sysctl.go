// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sysctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const root = "/proc/sys"

// atLeast are limits that are too low on many machines for a hundred pods,
// each with a shim and several watchers.
var atLeast = map[string]int{
	"net/ipv4/ip_forward":           1,
	"fs/inotify/max_user_instances": 8192,
	"fs/inotify/max_user_watches":   524288,
	"kernel/pid_max":                131072,
	"kernel/keys/maxkeys":           2000,
	"kernel/keys/maxbytes":          2000000,
}

// keptForKubelet are what a kubelet sets on the machine it runs on.
var keptForKubelet = []string{
	"vm/overcommit_memory",
	"vm/panic_on_oom",
	"kernel/panic",
	"kernel/panic_on_oops",
	"kernel/keys/root_maxkeys",
	"kernel/keys/root_maxbytes",
}

// Capture returns the present values of all settings the cluster changes.
func Capture() map[string]string {
	values := map[string]string{}
	for name := range atLeast {
		remember(values, name)
	}
	for _, name := range keptForKubelet {
		remember(values, name)
	}
	return values
}

func remember(values map[string]string, name string) {
	if body, err := os.ReadFile(filepath.Join(root, name)); err == nil {
		values[name] = strings.TrimSpace(string(body))
	}
}

// Raise lifts the limits that are lower than the cluster needs. A setting the
// kernel does not have, or keeps to itself, is returned for a warning.
func Raise() (refused []string) {
	for name, want := range atLeast {
		path := filepath.Join(root, name)
		body, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if have, err := strconv.Atoi(strings.TrimSpace(string(body))); err == nil && have >= want {
			continue
		}
		if err := os.WriteFile(path, []byte(strconv.Itoa(want)), 0); err != nil {
			refused = append(refused, name)
		}
	}
	return refused
}

// Restore puts back captured values and returns the names of those changed.
func Restore(values map[string]string) ([]string, error) {
	var changed []string
	var problems []error
	for name, want := range values {
		path := filepath.Join(root, name)
		body, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(body)) == want {
			continue
		}
		if err := os.WriteFile(path, []byte(want), 0); err != nil {
			problems = append(problems, fmt.Errorf("putting back %s: %w", name, err))
			continue
		}
		changed = append(changed, name)
	}
	return changed, errors.Join(problems...)
}
