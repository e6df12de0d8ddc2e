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
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
)

// pythonProjects are directories of the clone's test directory: servers in
// Python, whose requirements.txt names each package with its version and the
// digests of its files.
var pythonProjects = []string{"moto"}

// Python is the interpreter that runs them. It is Debian's, whichever other one is
// on the PATH.
const Python = "/usr/bin/python3"

// PythonPackages returns the directory with the packages of a project of the
// clone that this program belongs to; it is what PYTHONPATH is to be.
func PythonPackages(ctx context.Context, cache Cache, project string) (string, error) {
	source, err := FindSource()
	if err != nil {
		return "", err
	}
	name, err := pythonName(ctx, source, project)
	if err == nil {
		_, err = os.Lstat(cache.Path(name))
	}
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the packages of test/%s are not installed yet: run 'kuda-cluster build --storage' first", project)
	}
	return cache.Path(name), err
}

func pythonRequirements(source, project string) string {
	return filepath.Join(testDir(source, project), "requirements.txt")
}

// pythonName is the name of a project's packages in the cache. It changes with
// its requirements, and with the interpreter: some packages are compiled for one.
func pythonName(ctx context.Context, source, project string) (string, error) {
	requirements, err := os.ReadFile(pythonRequirements(source, project))
	if err != nil {
		return "", fmt.Errorf("finding the key of test/%s: %w", project, err)
	}
	version, err := process.Helper(ctx, Python, "-c", "import sys, platform; print(sys.version_info[:2], platform.machine())").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the version of Python: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s%s", version, requirements)
	return filepath.Join("python", project+"-"+hex.EncodeToString(h.Sum(nil))[:12]), nil
}

func pythonParts(ctx context.Context, cache Cache, source string, log *step.Log) error {
	for _, project := range pythonProjects {
		name, err := pythonName(ctx, source, project)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(cache.Path(name)); err == nil {
			continue
		}
		err = log.Do("Python packages of test/"+project, func() error {
			_, err := cache.Produce(name, func(tmp string) error { return runPip(ctx, pythonRequirements(source, project), tmp) })
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runPip installs what is required and nothing else, and runs nothing of it.
func runPip(ctx context.Context, requirements, out string) error {
	var output strings.Builder
	cmd := process.Helper(ctx, Python, "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir", "--no-compile",
		"--root-user-action=ignore", "--no-deps", "--require-hashes", "--only-binary=:all:", "--target="+out, "--requirement="+requirements)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pip install --requirement=%s: %w: %s", requirements, err, lastLines(output.String(), 10))
	}
	return nil
}
