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

const systemNamespace = "kuda-system"

// Install puts a release in force and returns when all of its replicas run: the
// first one of a cluster, or in place of an older one.
func Install(ctx context.Context, r Release) error {
	return put(ctx, r, r.Manifest)
}

// Downgrade puts a release in force in place of a newer one. The newer
// definitions of kinds stay; of the other objects those go that the older release
// does not have.
func Downgrade(ctx context.Context, newer, older Release) error {
	manifest, err := older.withoutDefinitions()
	if err != nil {
		return err
	}
	if err := RemoveBeyond(ctx, newer, older); err != nil {
		return err
	}
	return put(ctx, older, manifest)
}

// RemoveBeyond removes the objects of a newer release that an older one lacks, as
// far as they are there.
func RemoveBeyond(ctx context.Context, newer, older Release) error {
	beyond, err := newer.onlyIn(older)
	if err != nil || len(beyond) == 0 {
		return err
	}
	if _, err := kubectl(ctx, beyond, "delete", "--ignore-not-found", "-f", "-"); err != nil {
		return fmt.Errorf("removing what %s has and %s lacks: %w", newer.Name, older.Name, err)
	}
	return nil
}

// Uninstall removes a release but for the definitions of its kinds, and with them
// DataSets and Data: those that are there outlast it.
func Uninstall(ctx context.Context, r Release) error {
	manifest, err := r.withoutDefinitions()
	if err != nil {
		return err
	}
	if _, err := kubectl(ctx, manifest, "delete", "--ignore-not-found", "--timeout=2m", "-f", "-"); err != nil {
		return fmt.Errorf("uninstalling %s: %w", r.Name, err)
	}
	return nil
}

func put(ctx context.Context, r Release, manifest []byte) error {
	// A Job cannot be changed, and one that is done stays for a minute.
	if _, err := kubectl(ctx, nil, "-n", systemNamespace, "delete", "job", "kuda-create-ca", "--ignore-not-found"); err != nil {
		return fmt.Errorf("installing %s: %w", r.Name, err)
	}
	if _, err := kubectl(ctx, manifest, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return fmt.Errorf("installing %s: %w", r.Name, err)
	}
	for _, d := range []string{"kuda-manager", "kuda-webhook"} {
		if _, err := kubectl(ctx, nil, "-n", systemNamespace, "rollout", "status", "deployment/"+d, "--timeout=120s"); err != nil {
			return fmt.Errorf("installing %s: %w", r.Name, err)
		}
	}
	return nil
}

// kubectl runs kubectl and returns what it printed; a failure carries that too.
func kubectl(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}
