// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/sha256"
	_ "embed" // the Python files
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

//go:embed requirements.txt
var requirements []byte

//go:embed aws_crt.py
var awsCRT []byte

// Set is all programs. Each is installed when it is first asked for.
type Set struct {
	// Cache is where they are kept; Modules the directory test/bench/peers.
	Cache, Modules string
	// Log is told what takes long.
	Log func(format string, args ...any)

	mu    sync.Mutex
	tools map[string]Tool
}

// Tool is an installed program.
type Tool struct {
	// Path of the program, or of the directory of several.
	Path    string
	Version string
}

// installer makes a tool, in the set's cache.
type installer func(ctx context.Context, s *Set) (Tool, error)

// installers by the name of the tool.
var installers = map[string]installer{
	"s5cmd":     goTool("s5cmd", "github.com/peak/s5cmd/v2"),
	"rclone":    goTool("rclone", "github.com/rclone/rclone"),
	"mc":        goTool("mc", "github.com/minio/mc"),
	"versitygw": goTool("versitygw", "github.com/versity/versitygw"),
	"hdfs":      goTool("hdfs", "github.com/colinmarc/hdfs/v2"),
	"python":    python,
	"curl":      debianTool("curl", "curl"),
	"aria2":     debianTool("aria2c", "aria2"),
	"rsync":     debianTool("rsync", "rsync"),
	"nginx":     nginx,
}

// Get returns a tool, installing it first if need be.
func (s *Set) Get(ctx context.Context, name string) (Tool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tools[name]; ok {
		return t, nil
	}
	install, ok := installers[name]
	if !ok {
		return Tool{}, fmt.Errorf("there is no tool %q", name)
	}
	t, err := install(ctx, s)
	if err != nil {
		return Tool{}, fmt.Errorf("installing %s: %w", name, err)
	}
	if s.tools == nil {
		s.tools = map[string]Tool{}
	}
	s.tools[name] = t
	return t, nil
}

// Versions returns those of the tools that were asked for.
func (s *Set) Versions() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := make(map[string]string, len(s.tools))
	for name, t := range s.tools {
		versions[name] = t.Version
	}
	return versions
}

// produce makes the directory of that name in the cache by f, unless it is
// there, and returns it. What f leaves unfinished is made again.
func (s *Set) produce(name string, f func(dir string) error) (string, error) {
	dir := filepath.Join(s.Cache, name)
	done := filepath.Join(dir, ".done")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	s.Log("installing %s (once)", name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := f(dir); err != nil {
		return "", err
	}
	return dir, os.WriteFile(done, nil, 0o644)
}

// key is short for what a tool is made of.
func key(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d\n%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// goTool builds the tool of a module in Modules; module is the one whose
// version counts.
func goTool(name, module string) installer {
	return func(ctx context.Context, s *Set) (Tool, error) {
		source := filepath.Join(s.Modules, name)
		mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
		if err != nil {
			return Tool{}, err
		}
		sum, err := os.ReadFile(filepath.Join(source, "go.sum"))
		if err != nil {
			return Tool{}, err
		}
		dir, err := s.produce(name+"-"+key(mod, sum, []byte(runtime.Version())), func(dir string) error {
			cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
				"-gcflags=all=-dwarf=false", "-ldflags=-s -w", "-o", dir+string(filepath.Separator), "tool")
			cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
			return run(cmd)
		})
		if err != nil {
			return Tool{}, err
		}
		version, err := required(mod, module)
		return Tool{Path: filepath.Join(dir, name), Version: version}, err
	}
}

// required returns the version of a module in a go.mod.
func required(mod []byte, module string) (string, error) {
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == module {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("go.mod does not require %s", module)
}

// python is a directory with "bin/python", "bin/hdfsn" and "aws_crt.py".
func python(ctx context.Context, s *Set) (Tool, error) {
	if err := exec.CommandContext(ctx, "python3", "-c", "import ensurepip, venv").Run(); err != nil {
		if err := apt(ctx, "python3", "python3-venv"); err != nil {
			return Tool{}, err
		}
	}
	which, err := exec.CommandContext(ctx, "python3", "--version").Output()
	if err != nil {
		return Tool{}, fmt.Errorf("running python3: %w", err)
	}
	dir, err := s.produce("python-"+key(requirements, awsCRT, which), func(dir string) error {
		if err := run(exec.CommandContext(ctx, "python3", "-m", "venv", dir)); err != nil {
			return err
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, requirements, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "aws_crt.py"), awsCRT, 0o644); err != nil {
			return err
		}
		pip := filepath.Join(dir, "bin", "pip")
		return run(exec.CommandContext(ctx, pip, "install", "--no-deps", "--only-binary", ":all:", "-r", list))
	})
	version := strings.TrimSpace(string(which))
	for line := range strings.Lines(string(requirements)) {
		for _, name := range []string{"awscrt==", "boto3==", "hdfs-native=="} {
			if strings.HasPrefix(line, name) {
				version += ", " + strings.Replace(strings.TrimSpace(line), "==", " ", 1)
			}
		}
	}
	return Tool{Path: dir, Version: version}, err
}

// run runs a program to its end; an error has the end of its output.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.Join(lines[max(0, len(lines)-5):], "; "))
}

// errNoDebian says what to do where nothing can be installed.
var errNoDebian = errors.New("this is no Debian, or not run by root: install the package by hand")
