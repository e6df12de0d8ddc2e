// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Helm is a program of Helm, and the chart of a release of Kuda.
type Helm struct {
	// Program is the path of helm, 4 or 3.
	Program string
	// Chart is the directory of the chart.
	Chart string
}

// releaseName is the name that Helm knows Kuda by.
const releaseName = "kuda"

// helmPatience is how long Helm waits for what it installs.
const helmPatience = "--timeout=5m"

// TakeOver installs the chart in place of what kubectl applied. Fields that kubectl wrote
// become Helm's.
func (h Helm) TakeOver(ctx context.Context) error {
	args := []string{"install", releaseName, h.Chart, "--take-ownership", "--wait", helmPatience}
	if h.appliesOnServer(ctx) {
		args = append(args, "--force-conflicts")
	}
	_, err := h.run(ctx, systemNamespace, args...)
	return err
}

// Install installs the chart under a name into a namespace, which it makes.
func (h Helm) Install(ctx context.Context, name, namespace string) error {
	_, err := h.run(ctx, namespace, "install", name, h.Chart, "--create-namespace", "--wait", helmPatience)
	return err
}

// Upgrade installs the chart in place of the release, with values (name=value).
func (h Helm) Upgrade(ctx context.Context, values ...string) error {
	args := []string{"upgrade", releaseName, h.Chart, "--wait", helmPatience}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	_, err := h.run(ctx, systemNamespace, args...)
	return err
}

// Rollback goes back to an earlier revision of the release.
func (h Helm) Rollback(ctx context.Context, revision int) error {
	_, err := h.run(ctx, systemNamespace, "rollback", releaseName, fmt.Sprint(revision), "--wait", helmPatience)
	return err
}

// Uninstall removes the release, if it is there.
func (h Helm) Uninstall(ctx context.Context) error {
	_, err := h.run(ctx, systemNamespace, "uninstall", releaseName, "--ignore-not-found", "--wait", helmPatience)
	return err
}

// appliesOnServer reports whether the program is Helm 4, which applies on the server and
// asks before it takes a field from another manager.
func (h Helm) appliesOnServer(ctx context.Context) bool {
	out, err := h.run(ctx, systemNamespace, "version", "--short")
	return err == nil && strings.HasPrefix(out, "v4.")
}

func (h Helm) run(ctx context.Context, namespace string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.Program, append(args, "--namespace", namespace)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}
