// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// The server runs as root on a developer's machine: a client that signs in must
// be able to read, with the one key, and to do nothing else.
func TestAClientMayOnlyRead(t *testing.T) {
	s, err := newServer(storage.Options{Dir: t.TempDir(), Address: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	config := "\n" + s.config()
	for _, line := range []string{
		"ListenAddress " + s.address, "AllowUsers nobody", "AuthenticationMethods publickey", "PasswordAuthentication no",
		"DisableForwarding yes", "PermitTTY no", "ForceCommand internal-sftp -R", "PidFile none",
	} {
		if !strings.Contains(config, "\n"+line+"\n") {
			t.Errorf("%q is missing", line)
		}
	}
}

func TestMisspeltSettingsAreNotIgnored(t *testing.T) {
	o := storage.Options{Dir: t.TempDir(), Address: "127.0.0.1", Settings: map[string]string{"user": "root"}}
	if err := Run(t.Context(), o, func(any) error { return nil }); err == nil || !strings.Contains(err.Error(), "user") {
		t.Errorf("got %v", err)
	}
}
