// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// debianTool is a program that a package of the system has.
func debianTool(program, pkg string) installer {
	return func(ctx context.Context, _ *Set) (Tool, error) {
		path, err := exec.LookPath(program)
		if err != nil {
			if err := apt(ctx, pkg); err != nil {
				return Tool{}, err
			}
			if path, err = exec.LookPath(program); err != nil {
				return Tool{}, err
			}
		}
		return Tool{Path: path, Version: installed(ctx, pkg)}, nil
	}
}

// installed returns the version of a package.
func installed(ctx context.Context, pkg string) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Version}", pkg).Output()
	if err != nil {
		return "unknown"
	}
	return "Debian " + string(out)
}

// nginx takes the program out of its package: installing it would start a
// server on port 80.
func nginx(ctx context.Context, s *Set) (Tool, error) {
	const program = "usr/sbin/nginx"
	if _, err := exec.LookPath("apt-get"); err != nil {
		return Tool{}, errNoDebian
	}
	candidate, err := nginxCandidate(ctx)
	if err != nil {
		return Tool{}, err
	}
	dir, err := s.produce("nginx-"+candidate, func(dir string) error {
		download := exec.CommandContext(ctx, "apt-get", "-q", "download", "nginx="+candidate)
		download.Dir = dir
		if err := run(download); err != nil {
			return err
		}
		packages, err := filepath.Glob(filepath.Join(dir, "nginx_*.deb"))
		if err != nil || len(packages) != 1 {
			return fmt.Errorf("apt-get downloaded %q", packages)
		}
		return run(exec.CommandContext(ctx, "dpkg-deb", "--extract", packages[0], dir))
	})
	return Tool{Path: filepath.Join(dir, program), Version: "Debian " + candidate}, err
}

// nginxCandidate is the version that would be installed.
func nginxCandidate(ctx context.Context) (string, error) {
	for _, refresh := range []bool{false, true} {
		if refresh {
			if err := run(exec.CommandContext(ctx, "apt-get", "-q", "update")); err != nil {
				return "", err
			}
		}
		out, err := exec.CommandContext(ctx, "apt-cache", "policy", "nginx").Output()
		if err != nil {
			return "", fmt.Errorf("apt-cache: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && v != "(none)" {
				return v, nil
			}
		}
	}
	return "", fmt.Errorf("the package nginx is not known")
}

// apt installs packages, with fresh lists if those at hand do not do.
func apt(ctx context.Context, packages ...string) error {
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("%w: %s", errNoDebian, strings.Join(packages, " "))
	}
	install := func() error {
		args := append([]string{"-q", "-o", "DPkg::Lock::Timeout=600", "install", "-y", "--no-install-recommends"}, packages...)
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		return run(cmd)
	}
	if install() == nil {
		return nil
	}
	if err := run(exec.CommandContext(ctx, "apt-get", "-q", "update")); err != nil {
		return err
	}
	return install()
}
