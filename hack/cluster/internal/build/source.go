// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"os"
	"path/filepath"
)

// FindSource returns the directory of the build modules: that of the clone the
// user stands in, else that of the clone this program lies in.
func FindSource() (string, error) {
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if self, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(self))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			for _, sub := range []string{"hack/cluster/build", "build"} {
				candidate := filepath.Join(dir, sub)
				if _, err := os.Stat(filepath.Join(candidate, "kubernetes", "go.mod")); err == nil {
					return candidate, nil
				}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("the build modules were not found: run this inside a clone of Kuda, or give --source CLONE/hack/cluster/build")
}

// testDir is where a project of the clone's test directory lies, seen from the
// build modules.
func testDir(source, project string) string {
	return filepath.Join(source, "..", "..", "..", "test", project)
}
