// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cluster"
	"github.com/kuda-io/kuda/hack/cluster/internal/lock"
	"github.com/kuda-io/kuda/hack/cluster/internal/state"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
)

// New returns the whole command tree.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:   "kuda-cluster",
		Short: "Run a real Kubernetes cluster of several nodes on this machine",
		Long: `kuda-cluster runs a real Kubernetes cluster of several nodes on this one Linux
machine, from Go modules and Debian packages alone: no registry, no Docker.

  kuda-cluster build          once; about ten minutes
  kuda-cluster up             three nodes
  eval "$(kuda-cluster env)"  kubectl and KUBECONFIG for this shell
  kuda-cluster down           leaves nothing behind

KUDA_CACHE says where built programs are kept, KUDA_CLUSTER_STATE where the
running cluster keeps its state (/var/lib/kuda-dev).`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newBuild(), newUp(), newDown(), newStatus(),
		newKubeconfig(), newEnv(), newBinDir(),
		newNode(), newLink(), newImage(), newMinio(), newStorage(), newPolicy(),
	)
	return root
}

func newBuild() *cobra.Command {
	var o build.Options
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build everything a cluster needs into the cache",
		Long: `Install missing Debian packages (needs root) and build Kubernetes, etcd,
containerd, CoreDNS and MinIO from the modules pinned in hack/cluster/build.
What is built already is not built again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Source == "" {
				var err error
				if o.Source, err = build.FindSource(); err != nil {
					return err
				}
			}
			cache, err := build.OpenCache()
			if err != nil {
				return err
			}
			log := step.New(cmd.OutOrStdout())
			tools, err := build.Run(cmd.Context(), cache, o, log)
			if err != nil {
				return err
			}
			log.Note("built: %s", tools.Bin())
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.Storage, "storage", false, "also what 'storage run' needs: HDFS, Ceph, Kerberos and SSH servers")
	cmd.Flags().StringVar(&o.Source, "source", "", "directory of the build modules (default: that of the clone)")
	return cmd
}

func newUp() *cobra.Command {
	nodes := 3
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster",
		Long: `Start the cluster and wait until its nodes and its DNS are ready. A healthy
cluster is left as it is; dead nodes are started; a broken cluster is taken down
and made anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changing(cmd, "up", func(ctx context.Context, dir state.Dir, out io.Writer) error {
				cache, err := build.OpenCache()
				if err != nil {
					return err
				}
				tools, err := cache.Current()
				if err != nil {
					return err
				}
				log := step.New(out)
				err = cluster.Up(ctx, dir, tools, nodes, log)
				if err != nil && dir.Ours() {
					return fmt.Errorf("%w\nlogs are in %s; 'kuda-cluster down' takes away what was started", err, dir.Logs())
				}
				if err != nil {
					return err
				}
				log.Note("the cluster is ready; for this shell: eval \"$(kuda-cluster env)\"")
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", nodes, "how many nodes")
	return cmd
}

func newDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Take the cluster down and remove all that is left of it",
		Long: `End every process of the cluster, containers included, and remove its links,
namespaces, mounts, cgroups, kernel settings and state, also those of a cluster
that crashed or was cut off by a reboot. Only what is the cluster's is touched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changing(cmd, "down", func(ctx context.Context, dir state.Dir, out io.Writer) error {
				removed := 0
				err := cluster.Down(ctx, dir, func(what string) {
					removed++
					fmt.Fprintln(out, what)
				})
				if err == nil && removed == 0 {
					fmt.Fprintln(out, "there was nothing to remove")
				}
				return err
			})
		},
	}
}

// changing runs a command that changes the cluster: as root, and alone.
func changing(cmd *cobra.Command, name string, f func(context.Context, state.Dir, io.Writer) error) error {
	if err := cluster.CheckRoot(name); err != nil {
		return err
	}
	dir, err := state.FromEnvironment()
	if err != nil {
		return err
	}
	held, err := lock.Acquire(cmd.Context(), lock.Name, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer held.Close()
	return f(cmd.Context(), dir, cmd.OutOrStdout())
}

// opened is changing for commands that need a cluster.
func opened(cmd *cobra.Command, name string, f func(context.Context, *cluster.Cluster, io.Writer) error) error {
	return changing(cmd, name, func(ctx context.Context, dir state.Dir, out io.Writer) error {
		c, err := cluster.Open(dir)
		if err != nil {
			return err
		}
		return f(ctx, c, out)
	})
}

// looking opens the cluster for a command that changes nothing, and so needs
// no lock.
func looking() (*cluster.Cluster, error) {
	dir, err := state.FromEnvironment()
	if err != nil {
		return nil, err
	}
	return cluster.Open(dir)
}
