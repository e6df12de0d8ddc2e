// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/dashboard/contract"
)

func TestThePageHasTheTypesOfTheServer(t *testing.T) {
	const path = "../../../web/src/api.gen.ts"
	want := contract.TypeScript()
	if os.Getenv("KUDA_UPDATE_GOLDEN") == "1" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s (-want +got), make it anew with KUDA_UPDATE_GOLDEN=1:\n%s", path, diff)
	}
}
