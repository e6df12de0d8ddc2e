// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
)

// New returns the whole command tree.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "kuda-check",
		Short:         "Judge what Kuda ships, and the source that it is made of",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newVulnerabilities(), newManifests(), newLicences(), newTree(), newPackages(), newLinks(), newDocuments())
	return root
}

// judge prints what must be mended and returns an error when there is any.
func judge(w io.Writer, list exception.List, findings []exception.Finding) error {
	problems := list.Judge(findings, time.Now())
	for _, p := range problems {
		fmt.Fprintln(w, "  ", p)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d to mend", len(problems))
	}
	return nil
}

// target is a module directory and packages in it.
type target struct {
	dir      string
	patterns []string
}

// parseTarget reads DIR=PATTERN[,PATTERN...].
func parseTarget(s string) (target, error) {
	dir, patterns, ok := strings.Cut(s, "=")
	if !ok || dir == "" || patterns == "" {
		return target{}, fmt.Errorf("%q is not DIR=PATTERN[,PATTERN...]", s)
	}
	return target{dir: dir, patterns: strings.Split(patterns, ",")}, nil
}
