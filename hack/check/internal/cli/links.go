// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/link"
)

func newLinks() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "links [--root DIR]",
		Short: "Fail when a program links what it may not: the runtime Kubernetes, the others a storage SDK",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var findings []exception.Finding
			for _, program := range slices.Sorted(maps.Keys(link.Programs)) {
				packages, err := link.Linked(cmd.Context(), root, program)
				if err != nil {
					return err
				}
				findings = append(findings, link.Check(program, packages)...)
			}
			return judge(cmd.OutOrStdout(), exception.List{}, findings)
		},
	}
	cmd.Flags().StringVar(&root, "root", ".", "the root of the repository")
	return cmd
}
