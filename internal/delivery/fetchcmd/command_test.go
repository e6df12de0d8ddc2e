// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

// fetch runs the command and returns its output and exit code.
func fetch(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd := New()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(context.Background())
	if err != nil {
		out.WriteString(err.Error())
	}
	return out.String(), ExitCode(err)
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestATreeIsPublishedAndReplacedInPlace(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("tree/dir/a", []byte("one"))
	server.Put("tree/b", []byte("same"))
	dir := filepath.Join(t.TempDir(), "out")
	if out, code := fetch(t, server.URL+"/tree/", dir); code != 0 {
		t.Fatal(out)
	}
	held, err := os.Open(filepath.Join(dir, "dir/a"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	server.Put("tree/dir/a", []byte("two"))
	sent := server.Sent()
	if out, code := fetch(t, server.URL+"/tree/", dir); code != 0 {
		t.Fatal(out)
	}
	if got := read(t, filepath.Join(dir, "dir/a")) + read(t, filepath.Join(dir, "b")); got != "twosame" {
		t.Errorf("got %q", got)
	}
	if got := server.Sent() - sent; got != 3 {
		t.Errorf("%d bytes were sent again", got)
	}
	old := make([]byte, 3)
	if _, err := held.Read(old); err != nil || string(old) != "one" {
		t.Errorf("a reader of the old file got %q, %v", old, err)
	}
	if snapshots, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".out.kuda/snapshots/*")); len(snapshots) != 1 {
		t.Errorf("kept: %v", snapshots)
	}
}

func TestASingleFileKeepsItsName(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("models/tool.bin", []byte("content"))
	dir := filepath.Join(t.TempDir(), "out")
	if out, code := fetch(t, server.URL+"/models/tool.bin", dir); code != 0 {
		t.Fatal(out)
	}
	if got := read(t, filepath.Join(dir, "tool.bin")); got != "content" {
		t.Errorf("got %q", got)
	}
}

func TestDirectoryNotMadeByFetchIsLeftAlone(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := fetch(t, server.URL+"/f", dir)
	if code != exitUsage || !strings.Contains(out, "was not made by fetch") {
		t.Errorf("exit %d: %s", code, out)
	}
	if got := read(t, filepath.Join(dir, "mine")); got != "mine" || server.Sent() != 0 {
		t.Errorf("got %q", got)
	}
}

func TestFailuresHaveTheirExitCode(t *testing.T) {
	server := sourcetest.NewServer(t)
	server.Put("f", []byte("content"))
	server.Put("bad/SHA256SUMS", []byte(strings.Repeat("0", 64)+"  ../f\n"))
	dir := filepath.Join(t.TempDir(), "out")
	empty := t.TempDir()
	for _, c := range []struct {
		code int
		args []string
	}{
		{exitUsage, []string{dir}},
		{exitUsage, []string{"ftp://host/f", dir}},
		{exitUsage, []string{server.URL + "/f", dir, "--no-such-flag"}},
		{exitUsage, []string{server.URL + "/f", dir, "--digest", "md5:0"}},
		{exitUsage, []string{"s3:///key", dir}},
		{exitNotFound, []string{server.URL + "/missing", dir}},
		{exitDenied, []string{server.URL + "/f", dir, "--credentials-dir", empty}},
		{exitDigest, []string{server.URL + "/f", dir, "--digest", "sha256:" + strings.Repeat("0", 64)}},
		{exitName, []string{server.URL + "/bad/", dir}},
	} {
		if out, code := fetch(t, c.args...); code != c.code {
			t.Errorf("%v: exit %d, not %d: %s", c.args, code, c.code, out)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%v made %s", c.args, dir)
		}
	}
}

func TestHelpNamesEveryExitCode(t *testing.T) {
	out, code := fetch(t, "--help")
	if code != 0 {
		t.Fatal(out)
	}
	for _, want := range []string{"0 delivered", "3 not", "8 a name", "--digest", "AWS_ACCESS_KEY_ID"} {
		if !strings.Contains(out, want) {
			t.Errorf("help does not say %q", want)
		}
	}
}
