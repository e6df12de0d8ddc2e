// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/process"

	"golang.org/x/sys/unix"
)

// component is one Go module of hack/cluster/build and what is made of it.
type component struct {
	name     string
	version  string // as its go.mod requires it; a test compares the two
	packages []string
	tags     string
	ldflags  string
	// links are names under which the one program of the component is called.
	links []string
}

const (
	kubernetesVersion = "v1.37.2"
	containerdVersion = "v2.4.2"
	corednsVersion    = "v1.15.0"
	minioVersion      = "v0.0.0-20260212201848-7aac2a2c5b7c"
	registryVersion   = "v3.1.2"

	containerdCommands = "github.com/containerd/containerd/v2/cmd/"
)

// components are in the order they are built: the small ones first, so that
// the modules of the large ones arrive meanwhile.
var components = []component{
	{name: "pause", version: pauseTag, packages: []string{"."}, ldflags: "-s -w"},
	{
		name: "containerd", version: containerdVersion,
		packages: []string{containerdCommands + "containerd", containerdCommands + "containerd-shim-runc-v2", containerdCommands + "ctr"},
		// What these leave out needs C libraries or is not there on a dev machine.
		tags:    "no_btrfs no_zfs no_devmapper no_aufs",
		ldflags: "-s -w",
	},
	{
		name: "kubernetes", version: kubernetesVersion, packages: []string{"."},
		ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion,
		links:   []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
	},
	{name: "coredns", version: corednsVersion, packages: []string{"."}, ldflags: "-s -w"},
	{name: "registry", version: registryVersion, packages: []string{"github.com/distribution/distribution/v3/cmd/registry"}, ldflags: "-s -w"},
	{name: "minio", version: minioVersion, packages: []string{"github.com/minio/minio"}, ldflags: "-s -w"},
}

// goEnvironment keeps the user's Go settings from changing what is built; the
// module proxy, the checksum database and the caches stay the user's.
func goEnvironment() []string {
	env := append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if roomy() {
		// Collecting garbage is a fifth of the compiler's work.
		env = append(env, "GOGC=off", "GOMEMLIMIT=4GiB")
	}
	return env
}

// roomy reports whether the machine has memory for two compilers or linkers that
// let their garbage grow to 4 GiB each.
func roomy() bool {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return false
	}
	return info.Totalram*uint64(info.Unit) >= 12<<30
}

func (c component) flags() []string {
	// The linker drops debugging information (-s -w), so none is made.
	flags := []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", c.ldflags}
	if c.tags != "" {
		flags = append(flags, "-tags", c.tags)
	}
	return flags
}

// key names the result: it changes with the toolchain, the flags, and any file
// of the module.
func (c component) key(source, goVersion string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q\n", goVersion, c.version, c.flags(), c.packages, c.links)
	files, err := filepath.Glob(filepath.Join(source, c.name, "*"))
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", fmt.Errorf("%s has no module %s", source, c.name)
	}
	sort.Strings(files)
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\n", filepath.Base(path))
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return c.name + "-" + c.version + "-" + hex.EncodeToString(h.Sum(nil))[:12], nil
}

// fetch brings the modules the component needs into the module cache.
func (c component) fetch(ctx context.Context, source string) error {
	args := append([]string{"list", "-mod=readonly", "-deps", "-tags", c.tags}, c.packages...)
	return runGo(ctx, filepath.Join(source, c.name), args...)
}

// compile builds the component into the new directory out.
func (c component) compile(ctx context.Context, source, out string) error {
	args := append([]string{"build"}, c.flags()...)
	args = append(args, "-o", out+string(filepath.Separator))
	if err := runGo(ctx, filepath.Join(source, c.name), append(args, c.packages...)...); err != nil {
		return err
	}
	for _, l := range c.links {
		if err := os.Symlink(c.name, filepath.Join(out, l)); err != nil {
			return err
		}
	}
	return nil
}

func runGo(ctx context.Context, dir string, args ...string) error {
	var stderr strings.Builder
	cmd := process.Helper(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, goEnvironment(), &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s in %s: %w: %s", args[0], dir, err, lastLines(stderr.String(), 10))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
