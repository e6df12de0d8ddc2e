// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/licence"
)

func newLicences() *cobra.Command {
	var exceptions, notices string
	cmd := &cobra.Command{
		Use:   "licences [--exceptions FILE] [--notices FILE] DIR=PATTERN...",
		Short: "Judge the licences of what is linked, and write their texts",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := exception.Read(exceptions)
			if err != nil {
				return err
			}
			linked, findings, err := linkedBy(cmd.Context(), args)
			if err != nil {
				return err
			}
			if notices == "" {
				return judge(cmd.OutOrStdout(), list, findings)
			}
			return writeNotices(notices, linked)
		},
	}
	f := cmd.Flags()
	f.StringVar(&exceptions, "exceptions", os.DevNull, "the reviewed list of exceptions")
	f.StringVar(&notices, "notices", "", "write the texts to this file, and do not judge")
	return cmd
}

func linkedBy(ctx context.Context, args []string) ([]licence.Linking, []exception.Finding, error) {
	var (
		linked   []licence.Linking
		findings []exception.Finding
	)
	seen := map[string]bool{}
	for _, arg := range args {
		t, err := parseTarget(arg)
		if err != nil {
			return nil, nil, err
		}
		modules, err := licence.Linked(ctx, t.dir, t.patterns...)
		if err != nil {
			return nil, nil, err
		}
		for _, m := range modules {
			texts, err := licence.Texts(m)
			if err != nil {
				return nil, nil, err
			}
			linked = append(linked, licence.Linking{Module: m, Texts: texts})
			if key := m.Path + "@" + m.Version; !seen[key] {
				seen[key] = true
				findings = append(findings, licence.Check(m, texts)...)
			}
		}
	}
	return linked, findings, nil
}

func writeNotices(file string, linked []licence.Linking) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("writing notices: %w", err)
	}
	if err := licence.WriteNotices(f, linked); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing notices: %w", err)
	}
	return nil
}
