// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodecmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/internal/sidecar"
)

const long = `Node looks after the directory of a node in which the stores of all namespaces
are: one directory for each name of a namespace, and in it one for each UID.

kuda-manager runs it in pods of the namespace kuda-node. By hand it is run as
root on the node, or in a pod that mounts the directory.`

// New returns the command "node".
func New() *cobra.Command {
	var base string
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Close the directory of a node's stores, and remove what namespaces left",
		Long:  long,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&base, "base", sidecar.StoreRoot, "the directory of the stores of all namespaces")
	cmd.AddCommand(closeCommand(&base), removeCommand(&base))
	for _, c := range cmd.Commands() {
		c.SilenceUsage, c.SilenceErrors = true, true
	}
	return cmd
}

func closeCommand(base *string) *cobra.Command {
	return &cobra.Command{
		Use:   "close",
		Short: "Close the directory to all users but its owner",
		Long: `Close gives the directory of the stores, and those of the namespaces in it, the
mode 0700. Pods do not notice: what applications see is mounted from below them.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			n, err := openNode(*base)
			if err != nil {
				return err
			}
			defer n.close()
			return n.restrictAccess()
		},
	}
}

func removeCommand(base *string) *cobra.Command {
	var uid string
	var unnamed bool
	cmd := &cobra.Command{
		Use:   "remove NAMESPACE",
		Short: "Remove what a namespace that is gone left",
		Long: `Remove removes the store of a namespace that is gone, by its UID. When no
namespace has the name any more, --name-is-gone also removes what v0.1 left, which
knew the name only, and the directory of the name.

It closes the directory first, as "node close" does. A store that a living pod
still uses is left, and the command fails; run it again later.`,
		Example: `  kuda-runtime node remove shop --uid 6f0b1c52-4d0f-4c8e-9d55-0f4a2b7f1c11`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if uid == "" && !unnamed {
				return errors.New("say what to remove: --uid, --name-is-gone or both")
			}
			if err := checkArguments(args[0], uid); err != nil {
				return err
			}
			n, err := openNode(*base)
			if err != nil {
				return err
			}
			defer n.close()
			if err := n.restrictAccess(); err != nil {
				return err
			}
			if err := n.removeStore(args[0], uid, unnamed); err != nil {
				return fmt.Errorf("removing what namespace %s left: %w", args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed what namespace %s left\n", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&uid, "uid", "", "UID of the namespace that is gone")
	cmd.Flags().BoolVar(&unnamed, "name-is-gone", false, "no namespace has the name any more")
	return cmd
}
