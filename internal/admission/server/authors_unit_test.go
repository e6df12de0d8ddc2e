// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/inject"
)

func TestNoTokenIsMadeForTheAPIServerOfThisCluster(t *testing.T) {
	for name, claims := range map[string]string{
		"its audiences":     `{"iss":"https://other","aud":["https://api.example.com","second"]}`,
		"its only audience": `{"aud":"https://api.example.com"}`,
		"its issuer":        `{"iss":"https://api.example.com"}`,
	} {
		file := filepath.Join(t.TempDir(), "token")
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln\n"
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		a := withAPIAudiences(inject.Audiences{Allowed: []string{"https://api.example.com", "minio"}}, file)
		if a.Check("https://api.example.com") == nil {
			t.Errorf("%s: is admitted", name)
		}
		if err := a.Check("minio"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, rubbish := range []string{"", "a.b", "a.!.c", "a.e30.c", "a." + base64.RawURLEncoding.EncodeToString([]byte("no JSON")) + ".c"} {
		if got := audiencesOf(rubbish); len(got) != 0 {
			t.Errorf("%q: got %q", rubbish, got)
		}
	}
}
