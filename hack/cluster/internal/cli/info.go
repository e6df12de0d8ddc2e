// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
)

func newStatus() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show nodes, processes and addresses; fails when the cluster is not healthy",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := looking()
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			switch output {
			case "json":
				err = s.JSON(cmd.OutOrStdout())
			case "text":
				err = s.Text(cmd.OutOrStdout())
			default:
				return fmt.Errorf("there is no output format %q: use text or json", output)
			}
			if err == nil && !s.Healthy {
				err = errors.New("the cluster is not healthy")
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func newKubeconfig() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the administrator's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := looking()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), c.State.Kubeconfig())
			return nil
		},
	}
}

func newEnv() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: `Print settings for the shell: eval "$(kuda-cluster env)"`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := looking()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\n",
				quote(c.State.Kubeconfig()), quote(c.Tools.Bin()))
			return nil
		},
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func newBinDir() *cobra.Command {
	return &cobra.Command{
		Use:   "bin-dir",
		Short: "Print the directory of the built programs, kubectl among them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// That of the running cluster, when there is one: its kubectl fits it.
			if c, err := looking(); err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), c.Tools.Bin())
				return nil
			} else if !errors.Is(err, state.ErrNoCluster) {
				return err
			}
			cache, err := build.OpenCache()
			if err != nil {
				return err
			}
			tools, err := cache.Current()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), tools.Bin())
			return nil
		},
	}
}
