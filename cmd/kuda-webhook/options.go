// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kuda-io/kuda/internal/admission/server"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/memorylimit"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/version"
)

// options are the command's flags.
type options struct {
	server       server.Options
	caDir        string
	config       string
	runtimeImage string
	verbosity    int
}

func newCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:           "kuda-webhook",
		Short:         "Inject Kuda's runtime into pods, and check DataSets",
		Version:       version.Version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.addServing(cmd.Flags())
	o.addInstallation(cmd.Flags())
	return cmd
}

func (o *options) addServing(flags *pflag.FlagSet) {
	flags.StringVar(&o.server.Address, "listen", ":9443", "address of the webhooks")
	flags.StringVar(&o.server.HealthAddress, "health-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.server.MetricsAddress, "metrics-address", ":8080", "address of /metrics; 0 turns it off")
	flags.StringVar(&o.server.PeersAddress, "peers-address", ":9444", "address that the other replicas tell their news to")
	flags.StringVar(&o.server.Peers, "peers", "",
		"name and port that lead to all replicas, this one included; with it, pods of namespaces whose DataSets do not change cost no call "+
			"of the API server (default: it is asked for each pod)")
	flags.DurationVar(&o.server.Drain, "drain", 5*time.Second, "how long requests are answered after SIGTERM")
	flags.StringVar(&o.server.ClientCAFile, "client-ca-file", "",
		"certificates (PEM) that sign the API server's client certificate; callers without one are refused (default: anyone who can "+
			"connect is answered)")
	flags.StringSliceVar(&o.server.ClientNames, "client-names", nil,
		"names, one of which the API server's client certificate must bear as common name or DNS name (default: any)")
	flags.IntVarP(&o.verbosity, "verbosity", "v", 0, "0: what an operator acts on, 1: decisions")
}

func (o *options) addInstallation(flags *pflag.FlagSet) {
	flags.StringVar(&o.caDir, "ca-dir", "/var/run/kuda/ca", "directory where the Secret of the CA is mounted")
	flags.StringVar(&o.config, "config", "/etc/kuda/config.yaml", "file of the mounted ConfigMap")
	flags.StringVar(&o.runtimeImage, "runtime-image", os.Getenv("KUDA_RUNTIME_IMAGE"),
		"image of the runtime, unless the configuration names one")
	flags.StringSliceVar(&o.server.Names, "dns-name", []string{"kuda-webhook.kuda-system.svc"},
		"names that the API server calls the webhook by")
	flags.StringVar(&o.server.TokenFile, "token-file", "/var/run/secrets/kubernetes.io/serviceaccount/token",
		"the webhook's own token, whose audiences no source may have tokens for")
	flags.StringVar(&o.server.Configuration, "webhook-configuration", "kuda", "name of the webhook configurations")
}

func (o *options) validate() error {
	if len(o.server.Names) == 0 || o.server.Configuration == "" {
		return errors.New("--dns-name and --webhook-configuration must not be empty")
	}
	if len(o.server.ClientNames) > 0 && o.server.ClientCAFile == "" {
		return errors.New("--client-names: needs --client-ca-file, which says who signs the certificates")
	}
	if o.server.Peers != "" {
		if _, _, err := net.SplitHostPort(o.server.Peers); err != nil {
			return fmt.Errorf("--peers: a name and a port are needed, such as kuda-webhook-peers.kuda-system.svc:9444: %w", err)
		}
	}
	return nil
}

func (o *options) run(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	level := slog.Level(-o.verbosity)
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctrl.SetLogger(log)
	memorylimit.Set(log)
	authority, err := pki.LoadAuthority(pki.Options{Dir: o.caDir, Log: log.WithName("pki")})
	if err != nil {
		return err
	}
	file, err := config.Open(o.config, o.runtimeImage, log.WithName("config"))
	if err != nil {
		return err
	}
	restConfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	s, err := server.New(restConfig, o.server, server.Parts{Authority: authority, Config: file})
	if err != nil {
		return err
	}
	log.Info("started", "version", version.Version, "listen", o.server.Address)
	return s.Run(ctx)
}
