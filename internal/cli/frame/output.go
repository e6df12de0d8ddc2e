// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/internal/insight/plural"
)

// The formats of -o.
const (
	FormatTable = ""
	FormatWide  = "wide"
	FormatJSON  = "json"
	FormatYAML  = "yaml"
	FormatName  = "name"
)

// Output is the flag -o of a command.
type Output struct {
	Format  string
	allowed []string
}

// AddOutput adds -o to a command, with the formats that it knows.
func AddOutput(command *cobra.Command, formats ...string) *Output {
	o := &Output{allowed: formats}
	command.Flags().VarP(o, "output", "o", "one of "+strings.Join(formats, ", "))
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// String, Set and Type make it a flag.
func (o *Output) String() string { return o.Format }

// Set refuses formats that the command does not know.
func (o *Output) Set(format string) error {
	if !slices.Contains(o.allowed, format) {
		return fmt.Errorf("must be one of %s", strings.Join(o.allowed, ", "))
	}
	o.Format = format
	return nil
}

// Type is shown in the help.
func (o *Output) Type() string { return "format" }

// Wide reports whether more columns are wanted.
func (o *Output) Wide() bool { return o.Format == FormatWide }

// Machine reports whether a program reads the output.
func (o *Output) Machine() bool { return o.Format == FormatJSON || o.Format == FormatYAML }

// Print writes a value as JSON or YAML, by its JSON field names.
func (o *Output) Print(w io.Writer, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	raw = append(raw, '\n')
	if o.Format == FormatYAML {
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return fmt.Errorf("writing YAML: %w", err)
		}
	}
	_, err = w.Write(raw)
	return err
}

// Count returns a number with its noun.
func Count(n int, noun string) string { return plural.Count(n, noun) }
