// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keepercmd

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/keeper"
	"github.com/kuda-io/kuda/internal/delivery/keeper/published"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/version"
)

const long = `Keeper looks after all stores that the driver made on a node. It needs no privilege:
it runs as user 65532 without any capability, in a container that has

  the directory ` + sidecar.NodeStoresDir + ` of the node's directory of stores, writable, below --base,
  the kubelet's directory of pods, read-only, with mountPropagation HostToContainer,
  a token of the audience ` + sidecar.TokenAudience + `,
  the ConfigMap kuda-gateway-ca, which kuda-manager keeps up to date.

Nothing depends on it: pods and their runtimes work on when it is away. Of two keepers of a
node, one waits for the other to end.`

// options are the flags.
type options struct {
	keeper     keeper.Options
	base       string
	kubeletDir string
	gateway    string
	ca, token  string
	listen     string
	rate       store.Amount
	memory     int64
	verbosity  int
}

// New returns the command "keeper".
func New() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:           "keeper",
		Short:         "Look after the stores of a node: room, reports, verification, what is gone",
		Long:          long,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.addPlaces(cmd.Flags())
	o.addLimits(cmd.Flags())
	return cmd
}

func (o *options) addPlaces(flags *pflag.FlagSet) {
	flags.StringVar(&o.base, "base", sidecar.StoreRoot, "the node's directory of stores; the keeper works in "+sidecar.NodeStoresDir+" of it")
	flags.StringVar(&o.kubeletDir, "kubelet-dir", "/var/lib/kubelet", "the kubelet's directory, at the path that the driver has it at")
	flags.StringVar(&o.gateway, "gateway", cmp.Or(os.Getenv(sidecar.EnvGatewayAddress), "kuda-gateway.kuda-system.svc:8443"),
		"host:port of Kuda's gateway")
	flags.StringVar(&o.ca, "gateway-ca", "/var/run/kuda/gateway-ca/ca.crt",
		"file with the certificates (PEM) that the gateway is checked against, read again when it is not accepted")
	flags.StringVar(&o.token, "token", sidecar.TokenPath, "file with the token for the gateway")
	flags.StringVar(&o.listen, "listen", ":8082", "where /healthz and /metrics answer; 0 switches them off")
	flags.Int64Var(&o.memory, "memory", 40<<20, "bytes of memory that the process tries to stay within")
	flags.IntVarP(&o.verbosity, "verbosity", "v", 0, "0: what an operator acts on, 1: decisions")
}

func (o *options) addLimits(flags *pflag.FlagSet) {
	k := &o.keeper
	k.Reserve, o.rate = store.Amount{Percent: 10}, store.Amount{Bytes: 16 << 20}
	flags.Var(&k.NodeQuota, "node-quota",
		"what the snapshots of all stores may have together: bytes, 500Gi, or a share of the file system such as 50%; 0: no limit")
	flags.Var(&k.Reserve, "reserve",
		"how much of the file system downloads leave free; 0: none, and the watermarks do not count for the file system")
	flags.IntVar(&k.High, "high", 80, "percent of --node-quota, and of the file system, from which on unused snapshots are evicted; "+
		"with another --reserve than 10% in proportion")
	flags.IntVar(&k.Low, "low", 70, "percent down to which they are evicted")
	flags.Var(&k.StoreQuota, "store-quota", "the quota of each store, nodeStoreQuota of kuda-config; it is reported only")
	flags.DurationVar(&k.VerifyEvery, "verify-every", 24*time.Hour, "how often each snapshot is compared with what was delivered; 0: never")
	flags.Var(&o.rate, "verify-rate", "bytes that are read a second for that, such as 16Mi")
}

func (o *options) validate() error {
	switch {
	case o.base == "" || o.kubeletDir == "":
		return fmt.Errorf("--base, --kubelet-dir: name the directories")
	case o.rate.Percent != 0 || o.rate.Bytes < 1<<10:
		return fmt.Errorf("--verify-rate: must be bytes, at least 1Ki, not %s", o.rate.String())
	case o.keeper.VerifyEvery < 0 || o.keeper.VerifyEvery > 0 && o.keeper.VerifyEvery < time.Second:
		return fmt.Errorf("--verify-every: must be 0, or at least 1s, not %s", o.keeper.VerifyEvery)
	case o.memory < 8<<20:
		return fmt.Errorf("--memory: must be at least 8 MiB, not %d bytes", o.memory)
	}
	return nil
}

func (o *options) run(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	unix.Umask(0o022)
	// It is idle nearly always: memory is given back rather than kept.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(o.memory)
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-o.verbosity)}))
	gateway, err := uplink.New(uplink.Options{Address: o.gateway, CASource: o.ca, TokenFile: o.token, Log: log})
	if err != nil {
		return err
	}
	defer gateway.Close()
	k := o.keeper
	k.Base, k.VerifyRate = filepath.Join(o.base, sidecar.NodeStoresDir), o.rate.Bytes
	k.Version, k.Gateway, k.Log = version.Version, gateway, log
	k.Table = published.Table{File: "/proc/self/mountinfo", Pods: filepath.Join(o.kubeletDir, "pods")}
	k.Metrics = keeper.NewMetrics()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := k.Metrics.Register(registry); err != nil {
		return err
	}
	keep, err := keeper.New(k)
	if err != nil {
		return err
	}
	log.Info("started", "version", version.Version, "gateway", o.gateway)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return keep.Run(ctx) })
	group.Go(func() error { return serveProbes(ctx, o.listen, keep.Healthy, registry) })
	err = group.Wait()
	log.Info("ended")
	return err
}
