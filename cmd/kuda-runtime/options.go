// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kuda-io/kuda/internal/delivery/fetchcmd"
	"github.com/kuda-io/kuda/internal/delivery/inspect"
	"github.com/kuda-io/kuda/internal/delivery/nodecmd"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/storecmd"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/version"
)

// The defaults for a node's file system. The kubelet deletes images when less
// than 15 % of it is free, and evicts pods below a tenth: the cache gives way
// before the first, and downloads stop before the second.
const (
	defaultReserve = 10
	defaultHigh    = 80
	defaultLow     = 70
)

// options of the sidecar. Their defaults come from the environment that the
// injector writes.
type options struct {
	root, podUID, podName string
	dataSets, waitFor     string
	gateway, gatewayCA    string
	token                 string
	mounts                sourceconfig.Mounts
	port                  int
	connections           int
	storeMode             string
	reporter              string
	created               time.Time
	quota, reserve        store.Amount
	high, low             int
	memory                int64
	verbosity             int
	// wrong is what the environment got wrong.
	wrong error
}

func newCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "kuda-runtime",
		Short: "Deliver data into a pod, and keep it up to date",
		Long: `kuda-runtime delivers versioned data from remote storage.

Without a subcommand it is the sidecar that Kuda injects into pods: it asks
Kuda's gateway what its pod is to have, keeps the pod's view equal to it, and
answers on its port whether the application may start (` + sidecar.PathReadyz + `),
what is delivered (` + sidecar.PathData + `) and how it goes (` + sidecar.PathMetrics + `).
Its settings come from the environment; flags are for trying it out.

With "fetch" it delivers once, without Kubernetes; with "inspect" it says what a
pod has and what another revision would change; with "store" it looks after
a directory of snapshots, and with "node" after the directory of a node's stores.`,
		Args:          cobra.NoArgs,
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	run := &cobra.Command{
		Use:   "run",
		Short: "Be the sidecar of a pod (the default)",
		Args:  cobra.NoArgs,
		RunE:  cmd.RunE,
	}
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), run.Flags()} {
		o.addPod(flags)
		o.addGateway(flags)
		o.addStore(flags)
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	// But for what a person runs alone: that may be looked into.
	cmd.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if c.Name() == "fetch" || c.Name() == "version" {
			return nil
		}
		return denyProcessAccess()
	}
	cmd.AddCommand(run, fetchcmd.New(), inspect.New(), storecmd.New(), nodecmd.New(), &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version.Version) },
	})
	return cmd
}

func (o *options) addPod(flags *pflag.FlagSet) {
	flags.StringVar(&o.podUID, "pod-uid", os.Getenv(sidecar.EnvPodUID), "UID of the pod")
	flags.StringVar(&o.podName, "pod-name", os.Getenv(sidecar.EnvPodName), "name of the pod, for logs")
	flags.StringVar(&o.dataSets, "datasets", os.Getenv(sidecar.EnvDataSets), "DataSets that matched the pod, comma-separated")
	flags.StringVar(&o.waitFor, "wait-for", os.Getenv(sidecar.EnvWaitFor), "DataSets that the application's start waits for, comma-separated")
	flags.StringVar(&o.mounts.Secrets, "secrets-dir", sidecar.SecretsDir, "directory with one directory per mounted Secret")
	flags.StringVar(&o.mounts.CAs, "ca-dir", sidecar.CADir, "directory with one directory per mounted ConfigMap of certificates")
	flags.StringVar(&o.mounts.Claims, "claims-dir", sidecar.ClaimsDir, "directory with one directory per mounted claim")
	flags.StringVar(&o.mounts.Identities, "identities-dir", sidecar.IdentityDir, "directory with one directory per audience of a token")
	flags.StringVar(&o.mounts.Plugins, "plugins-dir", sidecar.PluginsDir, "directory with one directory per plugin, with its socket")
	flags.IntVar(&o.port, "port", envInt(sidecar.EnvServerPort, 8888), "port of the local API")
	flags.IntVarP(&o.verbosity, "verbosity", "v", envInt(sidecar.EnvLogLevel, 0), "0: what an operator acts on, 1: decisions, 2: each file")
}

func (o *options) addGateway(flags *pflag.FlagSet) {
	flags.StringVar(&o.gateway, "gateway", os.Getenv(sidecar.EnvGatewayAddress), "host:port of Kuda's gateway")
	flags.StringVar(&o.gatewayCA, "gateway-ca", os.Getenv(sidecar.EnvGatewayCA), "certificates (PEM) that the gateway is checked against")
	flags.Lookup("gateway-ca").DefValue = "" // the certificates would fill the help
	flags.StringVar(&o.token, "token", sidecar.TokenPath, "file with the token for the gateway")
}

func (o *options) addStore(flags *pflag.FlagSet) {
	flags.StringVar(&o.root, "store", sidecar.DefaultStoreRoot(), "directory of snapshots and views")
	flags.StringVar(&o.storeMode, "store-mode", os.Getenv(sidecar.EnvStore),
		"whose the store is: "+sidecar.StoreNode+" (the node's; what it holds is reported to the "+
			"gateway) or "+sidecar.StorePod+" (the pod's own; also when empty)")
	flags.StringVar(&o.reporter, "store-reporter", os.Getenv(sidecar.EnvStoreReporter),
		"who reports what a node's store holds: "+sidecar.ReporterKeeper+" (that of kuda-node, which also looks after what is beside the "+
			"store; then every byte of a snapshot that another pod brought is compared before it is used) or, when empty, the runtimes")
	if text := os.Getenv(sidecar.EnvNamespaceCreated); text != "" {
		created, err := time.Parse(time.RFC3339, text)
		if err != nil {
			o.wrong = fmt.Errorf("%s: %w", sidecar.EnvNamespaceCreated, err)
		}
		o.created = created
	}
	o.reserve = store.Amount{Percent: defaultReserve}
	if text := os.Getenv(sidecar.EnvStoreQuota); text != "" {
		if err := o.quota.Set(text); err != nil {
			o.wrong = fmt.Errorf("%s: %w", sidecar.EnvStoreQuota, err)
		}
	}
	if text := os.Getenv(sidecar.EnvStoreReserve); text != "" {
		if err := o.reserve.Set(text); err != nil {
			o.wrong = fmt.Errorf("%s: %w", sidecar.EnvStoreReserve, err)
		}
	}
	flags.Var(&o.quota, "store-quota", "snapshots that are kept at most: bytes, 100Gi, or a share of the file system such as 50%; 0: no limit")
	flags.Var(&o.reserve, "store-reserve",
		"how much of the file system downloads of more than 16 MiB leave free: bytes, 100Gi, or a share such as 10%; 0: none")
	flags.IntVar(&o.high, "store-high", defaultHigh,
		"percent of the quota, or of the file system if there is a reserve, from which on unused snapshots are evicted")
	flags.IntVar(&o.low, "store-low", defaultLow, "percent down to which they are evicted")
	flags.IntVar(&o.connections, "connections", 64, "large files and ranges read at the same time at most; a source that is near gets 16")
	flags.Int64Var(&o.memory, "memory", 48<<20, "bytes of memory that the process tries to stay within")
}

func (o *options) validate() error {
	switch {
	case o.wrong != nil:
		return o.wrong
	case o.podUID == "" || o.podUID != filepath.Base(o.podUID) || o.podUID[0] == '.':
		return errors.New("--pod-uid (" + sidecar.EnvPodUID + "): must be the pod's UID")
	case o.storeMode != "" && o.storeMode != sidecar.StoreNode && o.storeMode != sidecar.StorePod:
		return errors.New("--store-mode (" + sidecar.EnvStore + "): must be " + sidecar.StoreNode + " or " + sidecar.StorePod)
	case o.reporter != "" && o.reporter != sidecar.ReporterKeeper:
		return errors.New("--store-reporter (" + sidecar.EnvStoreReporter + "): must be " + sidecar.ReporterKeeper + ", or empty")
	case o.gateway == "":
		return errors.New("--gateway (" + sidecar.EnvGatewayAddress + "): must be host:port")
	case o.port < 1 || o.port > 65535:
		return errors.New("--port (" + sidecar.EnvServerPort + "): must be from 1 to 65535")
	case o.connections < 1:
		return errors.New("--connections: must be at least 1")
	}
	return nil
}

func (o *options) newLogger() logr.Logger {
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-o.verbosity)})
	return logr.FromSlogHandler(handler).WithValues("pod", o.podName)
}

// splitList splits a comma-separated list.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func envInt(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}
