// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/delivery/keepercmd"
	"github.com/kuda-io/kuda/internal/node/drivercmd"
	"github.com/kuda-io/kuda/internal/version"
)

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "kuda-node",
		Short:         "Share stores between the pods of a node",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(drivercmd.New(), drivercmd.NewTakeover(), keepercmd.New())
	return cmd
}
