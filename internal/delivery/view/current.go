// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// ReadCurrent reads, beside a View that may be open, the revision of each
// DataSet that the application sees. It changes nothing. A switch that happens
// meanwhile is seen or not.
func ReadCurrent(dir string) (map[string]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the view: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), controlDir)
	if err != nil {
		return nil, fmt.Errorf("reading the view: %w", err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if e.Type() != fs.ModeSymlink || strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		target, err := root.Readlink(path.Join(controlDir, e.Name()))
		if err != nil {
			continue // removed meanwhile
		}
		text, err := root.ReadFile(path.Join(controlDir, target) + metaSuffix)
		var t tree
		if err == nil {
			err = json.Unmarshal(text, &t)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the revision of DataSet %s: %w", e.Name(), err)
		}
		out[e.Name()] = t.Revision
	}
	return out, nil
}
