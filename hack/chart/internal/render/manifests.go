// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Namespace is that of the published manifests.
const Namespace = "kuda-system"

// PublishedValues are those of the published manifests: each component, for kubectl.
func PublishedValues() map[string]any {
	on := map[string]any{"enabled": true}
	return map[string]any{
		"plainManifests": true,
		"namespace":      map[string]any{"create": true},
		"node":           on,
		"scheduler":      on,
		"dashboard":      on,
	}
}

// WriteManifests renders the chart for kubectl and writes each template of a component
// below deploy, under the name that it has below templates/.
func WriteManifests(chartDir, deploy string) error {
	c, err := Load(chartDir)
	if err != nil {
		return err
	}
	files, err := c.Files(Namespace, PublishedValues())
	if err != nil {
		return err
	}
	for _, name := range sortedNames(files) {
		// What lies in no directory is Helm's alone, or is there already (crds.yaml).
		if !strings.Contains(name, "/") {
			continue
		}
		file := filepath.Join(deploy, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("making a directory for %s: %w", name, err)
		}
		if err := os.WriteFile(file, []byte(files[name]), 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}
