// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/vulnerability"
)

func newVulnerabilities() *cobra.Command {
	var exceptions, program, database string
	cmd := &cobra.Command{
		Use:   "vulnerabilities --exceptions FILE --database DIR PROGRAM...",
		Short: "Fail on known vulnerabilities of what programs link",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := exception.Read(exceptions)
			if err != nil {
				return err
			}
			entries, version, err := vulnerability.FindDatabase(cmd.Context(), database)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "   database %s\n", version)
			scanner := vulnerability.Scanner{Program: program, Database: entries}
			var findings []exception.Finding
			for _, file := range args {
				found, err := scanner.Scan(cmd.Context(), file)
				if err != nil {
					return err
				}
				findings = append(findings, found...)
			}
			return judge(cmd.OutOrStdout(), list, findings)
		},
	}
	f := cmd.Flags()
	f.StringVar(&exceptions, "exceptions", "", "the reviewed list of exceptions")
	f.StringVar(&program, "govulncheck", "govulncheck", "the program govulncheck")
	f.StringVar(&database, "database", "", "directory of the go.mod that pins "+vulnerability.Database)
	mustRequire(cmd, "exceptions", "database")
	return cmd
}

func mustRequire(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}
