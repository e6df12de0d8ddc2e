// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/image"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
)

// Images that every node has from the start.
const (
	// PauseImage has a host in its name, so that containerd knows it by this very name.
	PauseImage   = "kuda.local/pause:" + pauseTag
	CorednsImage = "kuda-io/coredns:" + corednsVersion

	pauseTag = "v2"
)

// Options say what to make.
type Options struct {
	// Source is the directory of the build modules.
	Source string
	// Storage adds the servers of 'storage run'.
	Storage bool
}

// Run makes everything: packages, programs, images. Packages of all kinds, and the
// nginx root filesystem, come over the network while the programs compile.
func Run(ctx context.Context, cache Cache, o Options, log *step.Log) (Toolset, error) {
	unlock, err := cache.lock()
	if err != nil {
		return Toolset{}, err
	}
	defer unlock()
	cache.sweep()
	outer := ctx
	ctx, cancel := context.WithCancel(outer)
	defer cancel()

	debian := make(chan error, 1)
	go func() {
		err := debianParts(ctx, cache, o, log)
		if err == nil && o.Storage {
			err = mavenParts(ctx, cache, o.Source, log)
		}
		if err == nil && o.Storage {
			err = pythonParts(ctx, cache, o.Source, log)
		}
		if err != nil {
			cancel() // no use in compiling on
		}
		debian <- err
	}()
	t, err := programs(ctx, cache, o.Source, log)
	if err != nil {
		cancel()
	}
	debianErr := <-debian
	if outer.Err() != nil {
		return Toolset{}, errors.New("the build was interrupted; the next one goes on from here")
	}
	if err = firstCause(err, debianErr); err != nil {
		return Toolset{}, err
	}
	return t, nil
}

// firstCause leaves out the error that is only the echo of the other one.
func firstCause(a, b error) error {
	switch {
	case a == nil || (b != nil && errors.Is(a, context.Canceled)):
		return b
	case b == nil || errors.Is(b, context.Canceled):
		return a
	}
	return errors.Join(a, b)
}

func debianParts(ctx context.Context, cache Cache, o Options, log *step.Log) error {
	if packages := missing(installed(o.Storage)); len(packages) > 0 {
		err := log.Do("Debian packages "+strings.Join(packages, " "), func() error {
			return installPackages(ctx, packages)
		})
		if err != nil {
			return err
		}
	}
	if os.Geteuid() != 0 {
		return nil // the root filesystem needs root; it is made when it is asked for
	}
	_, err := NginxRootfs(ctx, cache, log)
	return err
}

// NginxRootfs returns the archive of a Debian root filesystem with nginx,
// making it first when it is not in the cache.
func NginxRootfs(ctx context.Context, cache Cache, log *step.Log) (string, error) {
	name, err := image.NginxKey()
	if err != nil {
		return "", err
	}
	path := cache.Path("images", name+".tar")
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	if packages := missing(neededToBuild); len(packages) > 0 {
		return "", fmt.Errorf("%s is missing: run 'kuda-cluster build' first", strings.Join(packages, " "))
	}
	err = log.Do("nginx root filesystem from Debian packages", func() error {
		_, err := cache.Produce(filepath.Join("images", name+".tar"), func(tmp string) error {
			return image.NginxRootfs(ctx, tmp)
		})
		return err
	})
	return path, err
}

func programs(ctx context.Context, cache Cache, source string, log *step.Log) (Toolset, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOARCH").Output()
	if err != nil {
		return Toolset{}, fmt.Errorf("asking for the Go version: %w; is Go installed and on the PATH?", err)
	}
	goVersion := strings.Join(strings.Fields(string(out)), "/")
	keys := make([]string, len(components))
	var todo []component
	all := sha256.New()
	for i, c := range components {
		if keys[i], err = c.key(source, goVersion); err != nil {
			return Toolset{}, fmt.Errorf("finding the key of %s: %w", c.name, err)
		}
		fmt.Fprintln(all, keys[i])
		if _, err := os.Lstat(cache.Path("components", keys[i])); err != nil {
			todo = append(todo, c)
		}
	}
	// Modules of later components arrive while earlier ones compile. A failure
	// here is met again, and reported, by the compilation itself.
	go func() {
		for _, c := range todo {
			_ = c.fetch(ctx, source)
		}
	}()
	for i, c := range components {
		name := filepath.Join("components", keys[i])
		if _, err := os.Lstat(cache.Path(name)); err == nil {
			continue
		}
		err := log.Do("compiling "+c.name+" "+c.version, func() error {
			_, err := cache.Produce(name, func(tmp string) error {
				if err := os.Mkdir(tmp, 0o755); err != nil {
					return err
				}
				return c.compile(ctx, source, tmp)
			})
			return err
		})
		if err != nil {
			return Toolset{}, err
		}
	}
	name := filepath.Join("toolsets", hex.EncodeToString(all.Sum(nil))[:12])
	if _, err := cache.Produce(name, func(tmp string) error { return assemble(cache, keys, tmp) }); err != nil {
		return Toolset{}, fmt.Errorf("assembling the toolset: %w", err)
	}
	if err := cache.publish(name); err != nil {
		return Toolset{}, err
	}
	return cache.Current()
}

// assemble makes a toolset of the components: links to their programs, and the
// images made of them.
func assemble(cache Cache, keys []string, tmp string) error {
	bin, images := filepath.Join(tmp, "bin"), filepath.Join(tmp, "images")
	for _, dir := range []string{bin, images} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, key := range keys {
		programs, err := os.ReadDir(cache.Path("components", key))
		if err != nil {
			return err
		}
		for _, p := range programs {
			// Relative, so that the cache can be moved or mounted elsewhere.
			target := filepath.Join("..", "..", "..", "components", key, p.Name())
			if err := os.Symlink(target, filepath.Join(bin, p.Name())); err != nil {
				return err
			}
		}
	}
	for i, c := range components {
		var ref string
		switch c.name {
		case "pause":
			ref = PauseImage
		case "coredns":
			ref = CorednsImage
		default:
			continue
		}
		img, err := image.FromFiles(image.Options{
			Files:      []image.File{{Source: cache.Path("components", keys[i], c.name), Dest: "/" + c.name}},
			Entrypoint: []string{"/" + c.name},
			User:       "65532:65532",
		})
		if err != nil {
			return err
		}
		if err := image.Write(filepath.Join(images, c.name+".tar"), ref, img); err != nil {
			return err
		}
	}
	return nil
}
