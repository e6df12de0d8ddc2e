// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package schedulertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Configuration is a scheduler's: kubescheduler.config.k8s.io/v1.
type Configuration map[string]any

// Installed is the configuration of the manifests.
func (a *APIServer) Installed() (Configuration, error) {
	content, err := os.ReadFile(filepath.Join(a.deploy, "scheduler/config.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the installed configuration: %w", err)
	}
	var object corev1.ConfigMap
	if err := yaml.Unmarshal(content, &object); err != nil {
		return nil, fmt.Errorf("reading the installed configuration: %w", err)
	}
	c := Configuration{}
	if err := yaml.Unmarshal([]byte(object.Data["config.yaml"]), &c); err != nil {
		return nil, fmt.Errorf("reading the installed configuration: %w", err)
	}
	return c, nil
}

// Block is one of the configuration's blocks, made where it is missing.
func (c Configuration) Block(name string) map[string]any {
	block, ok := c[name].(map[string]any)
	if !ok {
		block = map[string]any{}
		c[name] = block
	}
	return block
}

var errNoProfile = errors.New("the configuration has no profile")

// Profile is the first one.
func (c Configuration) Profile() (map[string]any, error) {
	if list, ok := c["profiles"].([]any); ok && len(list) > 0 {
		if profile, ok := list[0].(map[string]any); ok {
			return profile, nil
		}
	}
	return nil, errNoProfile
}
