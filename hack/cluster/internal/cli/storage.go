// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kuda-io/kuda/hack/cluster/internal/alluxio"
	"github.com/kuda-io/kuda/hack/cluster/internal/build"
	"github.com/kuda-io/kuda/hack/cluster/internal/cachingproxy"
	"github.com/kuda-io/kuda/hack/cluster/internal/ceph"
	"github.com/kuda-io/kuda/hack/cluster/internal/hdfs"
	"github.com/kuda-io/kuda/hack/cluster/internal/moto"
	"github.com/kuda-io/kuda/hack/cluster/internal/prometheus"
	"github.com/kuda-io/kuda/hack/cluster/internal/registry"
	"github.com/kuda-io/kuda/hack/cluster/internal/s3proxy"
	"github.com/kuda-io/kuda/hack/cluster/internal/sftp"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// storages are the servers that 'storage run' knows.
var storages = map[string]storage.Run{
	"alluxio":    alluxio.Run,
	"ceph":       ceph.Run,
	"hdfs":       hdfs.Run,
	"moto":       moto.Run,
	"nginx":      cachingproxy.Run,
	"prometheus": prometheus.Run,
	"registry":   registry.Run,
	"s3proxy":    s3proxy.Run,
	"sftp":       sftp.Run,
}

func newStorage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage",
		Short: "Run other storage servers, and Prometheus, for tests and for trying them out",
	}
	cmd.AddCommand(newStorageRun())
	return cmd
}

func newStorageRun() *cobra.Command {
	o := storage.Options{}
	kinds := strings.Join(slices.Sorted(maps.Keys(storages)), "|")
	cmd := &cobra.Command{
		Use:   "run " + kinds,
		Short: "Run a real server in the foreground until standard input ends",
		Long: `Run a real server in the foreground. One line of JSON on standard output
tells, once the server is ready, where it is and who may use it. It ends, and
removes its processes, when standard input is closed or on SIGINT or SIGTERM.

Pods of the development cluster reach a server whose --address is ` + topology.BridgeAddress + `.`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: slices.Sorted(maps.Keys(storages)),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, ok := storages[args[0]]
			if !ok {
				return fmt.Errorf("%q is not one of %s", args[0], kinds)
			}
			return runStorage(cmd, run, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "directory for data and logs (default: a new temporary one, removed at the end)")
	f.StringVar(&o.Address, "address", "127.0.0.1", "IP address to listen on")
	f.StringVar(&o.Content, "content", "", "directory whose files are stored at the start")
	f.StringToStringVar(&o.Settings, "set", nil, "setting of the server, name=value")
	return cmd
}

// errInputEnded is why a server ends that is no longer wanted.
var errInputEnded = errors.New("standard input ended")

func runStorage(cmd *cobra.Command, run storage.Run, o storage.Options) error {
	cache, err := build.OpenCache()
	if err != nil {
		return err
	}
	if o.Tools, err = cache.Current(); err != nil {
		return err
	}
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "kuda-storage-"); err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(o.Dir) }()
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, cmd.InOrStdin())
		cancel(errInputEnded)
	}()
	err = run(ctx, o, func(endpoints any) error {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(endpoints)
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
