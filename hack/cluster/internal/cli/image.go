// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cluster"
	"github.com/kuda-io/kuda/hack/cluster/internal/image"
	"github.com/kuda-io/kuda/hack/cluster/internal/step"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

func newImage() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Make images and load them into the nodes"}
	cmd.AddCommand(newImageBuild(), newImageIndex(), newImageNginx(), newImageLoad(), newImageList())
	return cmd
}

func newImageBuild() *cobra.Command {
	var (
		o                 image.Options
		ref, binary, out  string
		files, entrypoint []string
	)
	cmd := &cobra.Command{
		Use:   "build --ref REF --binary PATH -o OUT.tar",
		Short: "Pack static programs and files into an image without a base",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if binary != "" {
				dest := "/" + filepath.Base(binary)
				o.Files = append(o.Files, image.File{Source: binary, Dest: dest})
				if len(entrypoint) == 0 {
					entrypoint = []string{dest}
				}
			}
			for _, s := range files {
				f, err := image.ParseFile(s)
				if err != nil {
					return err
				}
				o.Files = append(o.Files, f)
			}
			if len(entrypoint) == 0 {
				return errors.New("nothing to run: give --binary or --entrypoint")
			}
			o.Entrypoint = entrypoint
			img, err := image.FromFiles(o)
			if err != nil {
				return err
			}
			if err := image.Write(out, ref, img); err != nil {
				return err
			}
			digest, err := img.Digest()
			if err != nil {
				return fmt.Errorf("reading the image: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", ref, digest, out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&ref, "ref", "", "name and tag, like kuda-io/kuda-manager:v0.1.0")
	f.StringVar(&binary, "binary", "", "static program, packed as /NAME; the entrypoint unless --entrypoint is given")
	f.StringArrayVar(&files, "file", nil, "file or directory to pack, SRC=DEST; may be repeated")
	f.StringArrayVar(&entrypoint, "entrypoint", nil, "program and its first arguments; repeat for each word")
	f.StringArrayVar(&o.Cmd, "cmd", nil, "default arguments; repeat for each word")
	f.StringArrayVar(&o.Env, "env", nil, "environment variable, NAME=VALUE; may be repeated")
	f.StringVar(&o.User, "user", "65532:65532", "user and group it runs as")
	f.StringVar(&o.Architecture, "architecture", "amd64", "architecture of the programs")
	f.StringVarP(&out, "output", "o", "", "archive to write")
	mustRequire(cmd, "ref", "output")
	return cmd
}

func newImageIndex() *cobra.Command {
	var ref, out string
	cmd := &cobra.Command{
		Use:   "index --ref REF -o DIR ARCHIVE...",
		Short: "Put images of several architectures into one index, as an OCI layout",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return image.WriteIndex(out, ref, args)
		},
	}
	cmd.Flags().StringVar(&ref, "ref", "", "name and tag, like kuda-io/kuda-manager:v0.1.0")
	cmd.Flags().StringVarP(&out, "output", "o", "", "directory to make")
	mustRequire(cmd, "ref", "output")
	return cmd
}

func newImageNginx() *cobra.Command {
	var ref, out string
	cmd := &cobra.Command{
		Use:   "nginx -o OUT.tar",
		Short: "Make a stand-in for the nginx image, of Debian packages",
		Long: `Make an image that has nginx, bash and curl from Debian packages and is laid out
like the usual nginx image. It is a stand-in: whatever name it is given, the
nginx in it is Debian's. Needs root the first time; the root filesystem is kept
in the cache.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := build.OpenCache()
			if err != nil {
				return err
			}
			rootfs, err := build.NginxRootfs(cmd.Context(), cache, step.New(cmd.OutOrStdout()))
			if err != nil {
				return err
			}
			version, err := image.NginxVersion(rootfs)
			if err != nil {
				return err
			}
			img, err := image.Nginx(rootfs)
			if err != nil {
				return err
			}
			if err := image.Write(out, ref, img); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s (a stand-in: Debian's nginx %s)\n", ref, out, version)
			return nil
		},
	}
	cmd.Flags().StringVar(&ref, "ref", "nginx:1.14.2", "name and tag")
	cmd.Flags().StringVarP(&out, "output", "o", "", "archive to write")
	mustRequire(cmd, "output")
	return cmd
}

func newImageLoad() *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE.tar...",
		Short: "Load image archives into every running node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cluster.CheckRoot("image load"); err != nil {
				return err
			}
			c, err := looking()
			if err != nil {
				return err
			}
			log := step.New(cmd.OutOrStdout())
			return c.EachNode(func(n topology.Node) error {
				if !c.Host().Running(n) {
					log.Note("warning: %s does not run and gets nothing", n.Name())
					return nil
				}
				return log.Do(fmt.Sprintf("%d image archive(s) into %s", len(args), n.Name()), func() error {
					for _, path := range args {
						if err := c.Host().Load(cmd.Context(), n, path); err != nil {
							return err
						}
					}
					return nil
				})
			})
		},
	}
}

func newImageList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the images of each running node",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cluster.CheckRoot("image list"); err != nil {
				return err
			}
			c, err := looking()
			if err != nil {
				return err
			}
			return listImages(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
}

func listImages(ctx context.Context, c *cluster.Cluster, out io.Writer) error {
	for _, n := range topology.Nodes(c.Record.Nodes) {
		if !c.Host().Running(n) {
			continue
		}
		images, err := c.Host().Images(ctx, n)
		if err != nil {
			return err
		}
		sort.Strings(images)
		for _, i := range images {
			fmt.Fprintf(out, "%s\t%s\n", n.Name(), i)
		}
	}
	return nil
}

func mustRequire(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err) // a flag of that name was not defined: a mistake in this file
		}
	}
}
