// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A path that is not set has a default in /var or /etc, which a test must not touch.
func TestNothingIsKeptOutsideOfTheDirectory(t *testing.T) {
	l := layout{dir: "/below", fsid: "f", monPort: 1, s3: "127.0.0.1:2"}
	text := l.config()
	for _, name := range []string{"keyring", "run_dir", "crash_dir", "mon_data", "osd_data", "rgw_data"} {
		if !strings.Contains(text, "\n"+name+" = /below") {
			t.Errorf("%s is not below the directory", name)
		}
	}
	for _, name := range []string{"admin_socket", "pid_file", "log_file"} {
		if !strings.Contains(text, "\n"+name+" =\n") {
			t.Errorf("%s is set", name)
		}
	}
}

func TestKeysAreInCephsForm(t *testing.T) {
	made := time.Unix(0x01020304, 5)
	b, err := base64.StdEncoding.DecodeString(newKey(made))
	if err != nil || len(b) != 28 || string(b[:12]) != "\x01\x00\x04\x03\x02\x01\x05\x00\x00\x00\x10\x00" {
		t.Errorf("got %x, %v", b, err)
	}
	if one, other := newKey(made), newKey(made); one == other {
		t.Error("two keys are the same")
	}
	if id := newUUID(); !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("%s is no UUID", id)
	}
}
