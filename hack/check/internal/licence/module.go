// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package licence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// Own is the beginning of the paths of Kuda's own modules.
const Own = "github.com/kuda-io/kuda"

// Module is a module of which packages are linked.
type Module struct {
	Path    string
	Version string
	// Dir is where its files are.
	Dir string
	// Packages are the directories of the linked packages, relative to Dir.
	Packages []string
}

type listed struct {
	Dir      string
	Standard bool
	Module   *goModule
}

type goModule struct {
	Path    string
	Version string
	Dir     string
	Main    bool
	Replace *goModule
}

// Linked returns the modules that the packages of the module in dir which the
// patterns name link, but for Kuda's own, and the Go standard library.
func Linked(ctx context.Context, dir string, patterns ...string) ([]Module, error) {
	args := append([]string{"list", "-deps", "-json=Dir,Standard,Module"}, patterns...)
	out, err := run(ctx, dir, args...)
	if err != nil {
		return nil, err
	}
	modules, err := group(bytes.NewReader(out))
	if err != nil {
		return nil, fmt.Errorf("listing the modules of %s: %w", dir, err)
	}
	env, err := run(ctx, dir, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	return append(modules, Module{Path: "std", Version: version, Dir: root, Packages: []string{"."}}), nil
}

func run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running go %s in %s: %w: %s", args[0], dir, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// group reads what "go list -json" wrote about packages.
func group(r io.Reader) ([]Module, error) {
	byPath := map[string]*Module{}
	for d := json.NewDecoder(r); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Standard || p.Module == nil || p.Module.Main || isOwn(p.Module.Path) {
			continue
		}
		m := p.Module
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Dir == "" {
			return nil, fmt.Errorf("the files of %s are not on this machine: run go mod download", m.Path)
		}
		rel, err := filepath.Rel(m.Dir, p.Dir)
		if err != nil {
			return nil, err
		}
		known := byPath[m.Path]
		if known == nil {
			known = &Module{Path: m.Path, Version: m.Version, Dir: m.Dir}
			byPath[m.Path] = known
		}
		known.Packages = append(known.Packages, rel)
	}
	var modules []Module
	for _, m := range byPath {
		sort.Strings(m.Packages)
		modules = append(modules, *m)
	}
	sort.Slice(modules, func(i, j int) bool { return modules[i].Path < modules[j].Path })
	return modules, nil
}

func isOwn(path string) bool { return path == Own || strings.HasPrefix(path, Own+"/") }
