// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
)

// mavenProjects are directories of the clone's test directory: servers in Java
// whose jars, with all they need, Maven brings, and compiles where they are ours.
var mavenProjects = []string{"alluxio", "hdfs", "s3proxy"}

// MavenJars returns the directory with the jars of a project of the clone that
// this program belongs to.
func MavenJars(cache Cache, project string) (string, error) {
	source, err := FindSource()
	if err != nil {
		return "", err
	}
	name, err := mavenName(source, project)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(cache.Path(name)); err != nil {
		return "", fmt.Errorf("the jars of test/%s are not built yet: run 'kuda-cluster build --storage' first", project)
	}
	return cache.Path(name), nil
}

// mavenName is the name of a project's jars in the cache. It changes with any
// file of the project; the versions in its pom are pinned.
func mavenName(source, project string) (string, error) {
	h := sha256.New()
	dir := testDir(source, project)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		fmt.Fprintf(h, "%q %d\n%s", relative, len(body), body)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("finding the key of test/%s: %w", project, err)
	}
	return filepath.Join("maven", project+"-"+hex.EncodeToString(h.Sum(nil))[:12]), nil
}

func mavenParts(ctx context.Context, cache Cache, source string, log *step.Log) error {
	for _, project := range mavenProjects {
		name, err := mavenName(source, project)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(cache.Path(name)); err == nil {
			continue
		}
		err = log.Do("jars of test/"+project, func() error {
			_, err := cache.Produce(name, func(tmp string) error { return runMaven(ctx, testDir(source, project), tmp) })
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runMaven calls the goals one by one: those of a whole life cycle would bring
// unneeded plugins.
func runMaven(ctx context.Context, dir, out string) error {
	var output strings.Builder
	cmd := process.Helper(ctx, "mvn", "-q", "-B", "-Dout="+out, "compiler:compile", "jar:jar", "dependency:copy-dependencies")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("mvn in %s: %w: %s", dir, err, lastLines(output.String(), 10))
	}
	return nil
}
