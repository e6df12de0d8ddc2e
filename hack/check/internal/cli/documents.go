// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/document"
	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

func newDocuments() *cobra.Command {
	var exceptions, root string
	cmd := &cobra.Command{
		Use:   "documents [--root DIR] --exceptions FILE",
		Short: "Judge the pages: links that lead nowhere, translations that do not follow their originals, spaces in Chinese text",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := exception.Read(exceptions)
			if err != nil {
				return err
			}
			paths, err := tree.List(cmd.Context(), root)
			if err != nil {
				return err
			}
			files, err := tree.ReadText(root, paths)
			if err != nil {
				return err
			}
			return judge(cmd.OutOrStdout(), list, slices.Concat(document.CheckLinks(files, paths), document.CheckTranslations(files)))
		},
	}
	f := cmd.Flags()
	f.StringVar(&exceptions, "exceptions", "", "the reviewed list of exceptions")
	f.StringVar(&root, "root", ".", "the root of the repository")
	mustRequire(cmd, "exceptions")
	return cmd
}
