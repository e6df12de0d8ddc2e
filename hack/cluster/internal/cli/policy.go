// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/policy"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// newPolicy is what a node runs to enforce NetworkPolicies; it is not for people.
func newPolicy() *cobra.Command {
	o := policy.Options{PodCIDR: topology.PodCIDR}
	cmd := &cobra.Command{
		Use:    "network-policy",
		Short:  "Enforce NetworkPolicies in the network this process runs in",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = cmd.OutOrStdout()
			return policy.Enforce(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Kubeconfig, "kubeconfig", "", "who it is to the API server")
	cmd.Flags().StringVar(&o.Node, "node", "", "whose pods it cares for")
	return cmd
}
