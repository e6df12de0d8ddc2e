// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import "github.com/spf13/cobra"

// New returns the command "fetch".
func New() *cobra.Command {
	return &cobra.Command{Use: "fetch <source> <dir>"}
}
