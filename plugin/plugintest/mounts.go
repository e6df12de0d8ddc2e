// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/plugin"
)

// mounts is where directories with the same files are mounted at the same path, as
// a pod's containers have a Secret: a runtime takes two configurations for one
// only if they name the same directory. A harness may write a new directory each
// time that it is asked for a configuration.
type mounts struct{ dir string }

// localMount returns the mount with the path that its files have here; nil stays nil.
func (m mounts) localMount(t *testing.T, mount *plugin.Mount) *plugin.Mount {
	t.Helper()
	if mount == nil {
		return nil
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(mount.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue // a mounted Secret is flat
		}
		if files[entry.Name()], err = os.ReadFile(filepath.Join(mount.Dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	placed := *mount
	placed.Dir = filepath.Join(m.dir, hex.EncodeToString(sum[:8]))
	if err := os.Mkdir(placed.Dir, 0o700); errors.Is(err, fs.ErrExist) {
		return &placed
	} else if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(placed.Dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &placed
}
