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
	empty, partial, hollow := filepath.Join(dir, "empty"), filepath.Join(dir, "partial"), filepath.Join(dir, "hollow")
	for file, content := range map[string]string{
		// As the kubelet lays out the volume of an optional Secret that does not exist.
		filepath.Join(empty, "..2026_01_02"): "", filepath.Join(partial, "secretKey"): "s", filepath.Join(hollow, "accessKey"): "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const never, comes = "restart the pod's workload", "within about two minutes"
	for name, c := range map[string]struct{ dir, want, without string }{
		"another name":    {filepath.Join(dir, "new"), never, comes},
		"below a removed": {filepath.Join(dir, "gone", "new"), "is not mounted into this pod: ", comes},
		"no such Secret": {empty, `Secret "keys" is not there, or has not been mounted into this pod yet (it has no key accessKey here)`,
			never},
		"what comes":       {empty, comes, never},
		"no key":           {partial, `Secret "keys" has no key accessKey; add it: the kubelet brings it`, "not there"},
		"a key, but empty": {hollow, `Secret "keys" has nothing in the key accessKey; add it`, "has no key"},
	} {
		_, err := source.Mount{Dir: c.dir, Name: `Secret "keys"`}.Read("accessKey")
		if !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.without) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir = filepath.Join(dir, "partial")
	if presence, key := (source.Mount{Dir: dir}).Look("secretKey", "accessKey"); presence != source.NoKey || key != "accessKey" {
		t.Errorf("an incomplete one: %d, %q", presence, key)
	}
	if err := os.WriteFile(filepath.Join(dir, "accessKey"), []byte("k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := (source.Mount{Dir: dir}).Read("accessKey"); err != nil || got.Reveal() != "k" {
		t.Errorf("%q, %v", got.Reveal(), err)
	}
	if presence, key := (source.Mount{Dir: dir}).Look("secretKey", "accessKey"); presence != source.Present || key != "" {
		t.Errorf("a complete one: %d, %q", presence, key)
	}
}
