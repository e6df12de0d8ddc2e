// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/layout"
	"github.com/kuda-io/kuda/hack/check/internal/style"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
	"github.com/kuda-io/kuda/hack/check/internal/words"
)

// layoutDocuments have a layout in which each package has a row.
var layoutDocuments = []string{"docs/design/000-overview.md"}

func newTree() *cobra.Command {
	var (
		exceptions []string
		root       string
	)
	cmd := &cobra.Command{
		Use:   "tree [--root DIR] --exceptions FILE...",
		Short: "Judge names, comments and words, and the tables of packages in the documents",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list exception.List
			for _, file := range exceptions {
				l, err := exception.Read(file)
				if err != nil {
					return err
				}
				list.Exceptions = append(list.Exceptions, l.Exceptions...)
			}
			s, err := readSources(cmd, root)
			if err != nil {
				return err
			}
			return judge(cmd.OutOrStdout(), list, s.findings())
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&exceptions, "exceptions", nil, "a reviewed list of exceptions; may be repeated")
	f.StringVar(&root, "root", ".", "the root of the repository")
	return cmd
}

func newPackages() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "packages [--root DIR]",
		Short: "Write " + layout.Document,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := readSources(cmd, root)
			if err != nil {
				return err
			}
			packages, _ := layout.Packages(s.code)
			if err := os.WriteFile(filepath.Join(root, layout.Document), []byte(layout.Table(packages)), 0o644); err != nil {
				return fmt.Errorf("writing the packages: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", ".", "the root of the repository")
	return cmd
}

// sources are the files of the repository.
type sources struct {
	paths []string
	text  []tree.File
	code  []tree.Go
}

func readSources(cmd *cobra.Command, root string) (sources, error) {
	paths, err := tree.List(cmd.Context(), root)
	if err != nil {
		return sources{}, err
	}
	s := sources{paths: paths}
	if s.text, err = tree.ReadText(root, paths); err != nil {
		return sources{}, err
	}
	s.code, err = tree.ReadGo(root, paths)
	return s, err
}

func (s sources) findings() []exception.Finding {
	packages, undocumented := layout.Packages(s.code)
	findings := slices.Concat(
		style.CheckComments(s.code), style.CheckNames(s.code), style.CheckMethods(s.code),
		words.CheckText(s.text), words.CheckGo(s.code), undocumented)
	for _, document := range layoutDocuments {
		findings = append(findings, layout.Check(s.file(document), s.paths, packages)...)
	}
	if s.file(layout.Document).Text != layout.Table(packages) {
		findings = append(findings, exception.Finding{
			ID: "layout", Where: layout.Document, Message: "it is not the table of the tree's packages: run make generate and commit the result"})
	}
	return findings
}

// file returns a text file; an empty one when there is none of that path.
func (s sources) file(path string) tree.File {
	i := slices.IndexFunc(s.text, func(f tree.File) bool { return f.Path == path })
	if i < 0 {
		return tree.File{Path: path}
	}
	return s.text[i]
}
