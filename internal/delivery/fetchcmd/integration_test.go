// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package fetchcmd

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

// TestFetchFromMinIO goes the whole way, from the command to the bytes of a
// real server.
func TestFetchFromMinIO(t *testing.T) {
	server := miniotest.Start(t, "models")
	server.Put(t, "models", "bert/config.json", []byte("{}"))
	server.Put(t, "models", "bert/weights", []byte(strings.Repeat("weights", 5<<20)))
	t.Setenv("AWS_ACCESS_KEY_ID", miniotest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", miniotest.SecretKey)
	flags := []string{"--endpoint", "http://" + server.Addr, "--path-style"}
	dir := filepath.Join(t.TempDir(), "out")
	if out, code := fetch(t, append(flags, "s3://models/bert", dir)...); code != 0 {
		t.Fatal(out)
	}
	if got := read(t, filepath.Join(dir, "weights")); got != strings.Repeat("weights", 5<<20) {
		t.Error("the bytes are others")
	}
	for source, want := range map[string]int{"s3://models/none": exitNotFound, "s3://missing/bert": exitNotFound} {
		if out, code := fetch(t, append(flags, source, dir)...); code != want {
			t.Errorf("%s: exit %d: %s", source, code, out)
		}
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if out, code := fetch(t, append(flags, "s3://models/bert", dir)...); code != exitDenied {
		t.Errorf("wrong key: exit %d: %s", code, out)
	}
	if got := read(t, filepath.Join(dir, "config.json")); got != "{}" {
		t.Errorf("a failed fetch left %q", got)
	}
}

// What a raw request can store under a hostile name must not become a file
// elsewhere; what the server refuses is no danger.
func TestHostileKeysOfMinIOStayInside(t *testing.T) {
	server := miniotest.Start(t, "models")
	t.Setenv("AWS_ACCESS_KEY_ID", miniotest.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", miniotest.SecretKey)
	for i, key := range []string{"%2e%2e/%2e%2e/escape", "a//b", "./c", "d/%2e%2e/e", "new%0aline", "%5c..%5cback"} {
		prefix := fmt.Sprintf("case%d", i)
		status := server.RawPut(t, "models", prefix+"/"+key, []byte("hostile"))
		parent := t.TempDir()
		out, code := fetch(t, "--endpoint", "http://"+server.Addr, "--path-style", "s3://models/"+prefix, filepath.Join(parent, "out"))
		t.Logf("%s: stored with %d, fetched with %d", key, status, code)
		switch {
		case status != http.StatusOK:
			if code != exitNotFound {
				t.Errorf("%s: exit %d: %s", key, code, out)
			}
		case code != exitName && code != 0 && code != exitNotFound:
			t.Errorf("%s: exit %d: %s", key, code, out)
		}
		if escaped, _ := filepath.Glob(filepath.Join(parent, "*escape*")); len(escaped) > 0 {
			t.Errorf("%s: written outside: %v", key, escaped)
		}
	}
}
