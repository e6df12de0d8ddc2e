// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// logdisk serves a file system with one file, "disk", that has the bytes of an
// image and logs each write and each flush to it. A loop device on that file is a
// disk whose power can be cut afterwards, at any point of the log and with any
// part of its cache lost. It ends when the file system is unmounted.
//
// The log is a sequence of records: a header of 17 bytes, which is the kind ('W'
// or 'F'), the offset and the length (both big endian, 8 bytes), and for 'W' as
// many bytes as the length says.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/spf13/cobra"
)

func main() {
	cmd := &cobra.Command{
		Use:          "logdisk IMAGE LOG DIRECTORY",
		Short:        "Serve an image as a file that logs its writes and flushes (root)",
		Args:         cobra.ExactArgs(3),
		SilenceUsage: true,
		RunE:         func(cmd *cobra.Command, args []string) error { return run(cmd, args[0], args[1], args[2]) },
	}
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		os.Exit(1)
	}
}

func run(cmd *cobra.Command, image, log, directory string) error {
	d, err := open(image, log)
	if err != nil {
		return err
	}
	root := &fs.Inode{}
	server, err := fs.Mount(directory, root, &fs.Options{
		MountOptions: fuse.MountOptions{
			FsName: "logdisk", Name: "logdisk", DirectMount: true, MaxWrite: 512 << 10,
			// Requests are logged in the order in which they are answered.
			SingleThreaded: true,
		},
		OnAdd: func(ctx context.Context) {
			root.AddChild("disk", root.NewPersistentInode(ctx, d, fs.StableAttr{Mode: fuse.S_IFREG}), false)
		},
	})
	if err != nil {
		return fmt.Errorf("mounting %s: %w", directory, err)
	}
	fmt.Fprintln(cmd.OutOrStdout(), "ready")
	server.Wait()
	return d.close()
}
