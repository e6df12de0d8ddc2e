// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = "../../build"

func TestPinnedVersionsAreThoseOfTheBuildModules(t *testing.T) {
	modules := map[string]string{
		"kubernetes": "k8s.io/kubernetes", "containerd": "github.com/containerd/containerd/v2",
		"coredns": "github.com/coredns/coredns", "minio": "github.com/minio/minio",
		"registry": "github.com/distribution/distribution/v3",
	}
	for _, c := range components {
		module, ok := modules[c.name]
		if !ok {
			continue
		}
		body, err := os.ReadFile(filepath.Join(source, c.name, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if want := module + " " + c.version + "\n"; !strings.Contains(string(body), want) &&
			!strings.Contains(string(body), module+" "+c.version+" ") {
			t.Errorf("%s: go.mod does not require %s", c.name, want)
		}
	}
}

func TestKeyChangesWithWhatGoesIn(t *testing.T) {
	dir := t.TempDir()
	c := component{name: "x", version: "v1", packages: []string{"."}}
	if err := os.Mkdir(filepath.Join(dir, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "x", "go.sum")
	if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	key := func(c component, goVersion string) string {
		k, err := c.key(dir, goVersion)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key(c, "go1")
	if first != key(c, "go1") {
		t.Error("the key is not stable")
	}
	if first == key(c, "go2") {
		t.Error("another toolchain has the same key")
	}
	tagged := c
	tagged.tags = "small"
	if first == key(tagged, "go1") {
		t.Error("another build tag has the same key")
	}
	if err := os.WriteFile(file, []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if first == key(c, "go1") {
		t.Error("other sums have the same key")
	}
}

func TestFailedBuildLeavesNothingThatLooksFinished(t *testing.T) {
	c := Cache{root: t.TempDir()}
	failure := errors.New("the compiler stopped")
	_, err := c.Produce("components/x", func(tmp string) error {
		if err := os.MkdirAll(filepath.Join(tmp, "half"), 0o755); err != nil {
			t.Fatal(err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("err = %v", err)
	}
	if _, err := os.Stat(c.Path("components", "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a component is in the cache: %v", err)
	}
	for _, want := range []bool{true, false} {
		made, err := c.Produce("components/x", func(tmp string) error { return os.Mkdir(tmp, 0o755) })
		if err != nil || made != want {
			t.Errorf("made = %v, %v; want %v", made, err, want)
		}
	}
	left, err := filepath.Glob(c.Path("tmp-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSweepRemovesWhatAKilledBuildLeft(t *testing.T) {
	c := Cache{root: t.TempDir()}
	if err := os.MkdirAll(c.Path("tmp-123", "kubernetes"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.sweep()
	if _, err := os.Stat(c.Path("tmp-123")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestCacheDirectoryThatNodesCannotSeeIsRefused(t *testing.T) {
	for path, ok := range map[string]bool{"/run/x": false, "/var/lib/ci/cache": false, "/var/cache/kuda": true, "/home/a/.cache/kuda": true} {
		t.Setenv(envCache, path)
		if _, err := OpenCache(); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestPublishSwitchesTheCurrentToolset(t *testing.T) {
	c := Cache{root: t.TempDir()}
	if _, err := c.Current(); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("err = %v", err)
	}
	for _, name := range []string{"toolsets/a", "toolsets/b", "toolsets/b"} {
		if err := os.MkdirAll(c.Path(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := c.publish(name); err != nil {
			t.Fatal(err)
		}
		now, err := c.Current()
		if err != nil || !strings.HasSuffix(now.Bin(), name+"/bin") {
			t.Errorf("current is %s, %v; want %s", now.Bin(), err, name)
		}
	}
}
