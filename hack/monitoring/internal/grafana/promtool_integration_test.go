// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package grafana_test

import (
	"os/exec"
	"testing"
)

// Debian's prometheus has promtool; make storage-build installs it.
func TestEachAlertFiresAndResolvesInPromtool(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", "../../rules_test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
