// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/cluster"
	"github.com/kuda-io/kuda/hack/cluster/internal/minio"
)

func newMinio() *cobra.Command {
	access := minio.Access{}
	cmd := &cobra.Command{
		Use:   "minio",
		Short: "Run a MinIO server that pods reach, and move files in and out of it",
		Long: `Run a MinIO server on the host, at an address that pods reach, and move files in
and out of it. Its data is the cluster's: 'down' removes it. Variables named
MINIO_* are passed on to the server by 'start'.`,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&access.Address, "address", minio.DefaultAddress, "address of the server")
	f.StringVar(&access.User, "user", "kudaadmin", "access key")
	f.StringVar(&access.Password, "password", "kudaadmin-secret", "secret key")
	cmd.AddCommand(
		forServer("start", "Start the server and wait until it answers", func(ctx context.Context, s minio.Server, out io.Writer) error {
			if err := s.Start(ctx, access); err != nil {
				return err
			}
			text, err := s.Status(ctx, access)
			fmt.Fprintln(out, text)
			return err
		}),
		forServer("stop", "Stop the server; its data stays", func(_ context.Context, s minio.Server, _ io.Writer) error { return s.Stop() }),
		forServer("kill", "End the server at once, as a crash would; its data stays",
			func(_ context.Context, s minio.Server, _ io.Writer) error { return s.Kill() }),
		forServer("status", "Say how the server is; fails when it does not answer",
			func(ctx context.Context, s minio.Server, out io.Writer) error {
				text, err := s.Status(ctx, access)
				if err == nil {
					fmt.Fprintln(out, text)
				}
				return err
			}),
		newMinioPut(&access), newMinioPutTree(&access), newMinioRemove(&access), newMinioList(&access),
	)
	return cmd
}

func forServer(use, short string, f func(context.Context, minio.Server, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opened(cmd, cmd.CommandPath(), func(ctx context.Context, c *cluster.Cluster, out io.Writer) error {
				return f(ctx, minio.Server{State: c.State, Tools: c.Tools, Cgroups: c.Cgroups}, out)
			})
		},
	}
}

func newMinioPut(access *minio.Access) *cobra.Command {
	var bucket, key string
	cmd := &cobra.Command{
		Use:   "put --bucket BUCKET --key KEY FILE|-",
		Short: "Store a file, or standard input, as one object",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := minio.NewClient(*access)
			if err != nil {
				return err
			}
			return client.PutFile(cmd.Context(), bucket, key, args[0], cmd.InOrStdin())
		},
	}
	cmd.Flags().StringVar(&bucket, "bucket", "", "bucket; made when missing")
	cmd.Flags().StringVar(&key, "key", "", "key of the object")
	mustRequire(cmd, "bucket", "key")
	return cmd
}

func newMinioPutTree(access *minio.Access) *cobra.Command {
	var bucket, prefix string
	cmd := &cobra.Command{
		Use:   "put-tree --bucket BUCKET [--prefix PREFIX] DIR",
		Short: "Store all files of a directory",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := minio.NewClient(*access)
			if err != nil {
				return err
			}
			files, bytes, err := client.PutTree(cmd.Context(), bucket, prefix, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d file(s), %d bytes\n", files, bytes)
			return nil
		},
	}
	cmd.Flags().StringVar(&bucket, "bucket", "", "bucket; made when missing")
	cmd.Flags().StringVar(&prefix, "prefix", "", "what keys start with")
	mustRequire(cmd, "bucket")
	return cmd
}

func newMinioRemove(access *minio.Access) *cobra.Command {
	var (
		bucket, key string
		recursive   bool
	)
	cmd := &cobra.Command{
		Use:   "rm --bucket BUCKET --key KEY [--recursive]",
		Short: "Remove an object, or all whose key starts with KEY",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := minio.NewClient(*access)
			if err != nil {
				return err
			}
			n, err := client.Remove(cmd.Context(), bucket, key, recursive)
			fmt.Fprintf(cmd.OutOrStdout(), "%d object(s) removed\n", n)
			return err
		},
	}
	cmd.Flags().StringVar(&bucket, "bucket", "", "bucket")
	cmd.Flags().StringVar(&key, "key", "", "key, or what keys start with")
	cmd.Flags().BoolVar(&recursive, "recursive", false, "remove all whose key starts with --key")
	mustRequire(cmd, "bucket", "key")
	return cmd
}

func newMinioList(access *minio.Access) *cobra.Command {
	var bucket, prefix string
	cmd := &cobra.Command{
		Use:   "ls [--bucket BUCKET [--prefix PREFIX]]",
		Short: "List buckets, or the objects of one: size, time, ETag, key",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := minio.NewClient(*access)
			if err != nil {
				return err
			}
			return client.List(cmd.Context(), bucket, prefix, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&bucket, "bucket", "", "bucket; all buckets are listed without")
	cmd.Flags().StringVar(&prefix, "prefix", "", "what keys start with")
	return cmd
}
