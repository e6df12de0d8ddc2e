// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

// A Secret that the DataSet named after the pod was created never comes by itself;
// one that lacks a key does.
func TestAMountThatNeverComesIsToldFromOneThatIsIncomplete(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ dir, want, without string }{
		"another name":    {filepath.Join(dir, "new"), "restart the pod's workload", "within a minute"},
		"no key":          {dir, "has no key accessKey; add it", "restart"},
		"below a removed": {filepath.Join(dir, "gone", "new"), "is not mounted into this pod", "within a minute"},
	} {
		_, err := source.Mount{Dir: c.dir, Name: `Secret "keys"`}.Read("accessKey")
		if !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.without) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "accessKey"), []byte("k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (source.Mount{Dir: dir}).Read("accessKey"); err != nil || got.Reveal() != "k" {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
}
