// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

const (
	own     = "github.com/kuda-io/kuda"
	drivers = own + "/internal/source"
)

var (
	// kubernetes are the beginnings of what the runtime links nothing of.
	kubernetes = []string{"k8s.io", "sigs.k8s.io"}
	// storage are the beginnings of the storage SDKs.
	storage = []string{
		"github.com/minio/minio-go", "oras.land/oras-go", "github.com/jcmturner/gokrb5", "github.com/colinmarc/hdfs",
		"github.com/aws/aws-sdk-go", "github.com/aws/aws-sdk-go-v2", "cloud.google.com/go/storage", "github.com/Azure/azure-sdk-for-go",
	}
)

// Programs are the packages of the main module's programs, with what each of them
// links nothing of.
var Programs = map[string][]string{
	"./cmd/kuda-runtime":   kubernetes,
	"./cmd/kuda-node":      slices.Concat(kubernetes, storage),
	"./cmd/kuda-manager":   storage,
	"./cmd/kuda-webhook":   storage,
	"./cmd/kuda-dashboard": storage,
	"./cmd/kubectl-kuda":   storage,
}

// Package is one that a program links.
type Package struct {
	ImportPath string
	Imports    []string
}

// Linked returns the packages that a program of the module in dir links.
func Linked(ctx context.Context, dir, program string) ([]Package, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Imports", program)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing what %s links: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	var packages []Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("listing what %s links: %w", program, err)
		}
		packages = append(packages, p)
	}
}

// Check returns the imports by which a program links what it may not: one for each
// of Kuda's own packages that is to be changed.
func Check(program string, packages []Package) []exception.Finding {
	var findings []exception.Finding
	report := func(importer, imported, why string) {
		findings = append(findings, exception.Finding{
			ID: "link", Where: path.Base(program), Message: fmt.Sprintf("%s imports %s: %s", importer, imported, why)})
	}
	for _, p := range packages {
		for _, i := range p.Imports {
			switch {
			case isBelow(i, Programs[program]) && !isBelow(p.ImportPath, Programs[program]):
				report(p.ImportPath, i, path.Base(program)+" links nothing of it; move what needs it to another program")
			case isBelow(i, storage) && isBelow(p.ImportPath, []string{own}) && !isBelow(p.ImportPath, []string{drivers}):
				report(p.ImportPath, i, "only drivers, below internal/source, link a storage SDK")
			}
		}
	}
	return findings
}

// isBelow reports whether an import path is one of those, or below one. Versions of a
// module are below it.
func isBelow(importPath string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return importPath == p || strings.HasPrefix(importPath, p+"/")
	})
}
