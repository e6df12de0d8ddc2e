// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/certificate"
	"github.com/kuda-io/kuda/internal/dashboard/page"
	"github.com/kuda-io/kuda/internal/dashboard/session"
	"github.com/kuda-io/kuda/internal/memorylimit"
	"github.com/kuda-io/kuda/internal/observe"
	"github.com/kuda-io/kuda/internal/version"
)

// A person waits for the answer: the client's own brake is for controllers.
const (
	queriesPerSecond = 50
	queryBurst       = 100
)

// options are the command's flags.
type options struct {
	listen, health, metrics string
	certFile, keyFile       string
	apiServer, caFile       string
	hosts                   []string
	cluster, namespace      string
	system                  string
	verbosity               int
}

func newCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:           "kuda-dashboard",
		Short:         "Serve Kuda's page, with the rights of who signs in",
		Version:       version.Version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	o.addServing(cmd.Flags())
	o.addCluster(cmd.Flags())
	return cmd
}

func (o *options) addServing(flags *pflag.FlagSet) {
	flags.StringVar(&o.listen, "listen", ":8443", "address of the page and its API, over TLS")
	flags.StringVar(&o.health, "health-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.metrics, "metrics-address", ":8080", "address of /metrics; 0 turns it off")
	flags.StringVar(&o.certFile, "tls-cert-file", "",
		"certificate (PEM) to serve with; read again when it changes (default: one issued to itself)")
	flags.StringVar(&o.keyFile, "tls-key-file", "", "private key (PEM) of --tls-cert-file")
	flags.StringSliceVar(&o.hosts, "allowed-host", nil, "names that requests may be sent to (default: any)")
	flags.IntVarP(&o.verbosity, "verbosity", "v", 0, "0: what an operator acts on, 1: decisions")
}

func (o *options) addCluster(flags *pflag.FlagSet) {
	flags.StringVar(&o.apiServer, "api-server", "https://kubernetes.default.svc", "address of the API server")
	flags.StringVar(&o.caFile, "api-server-ca-file", "/var/run/kuda/api-server-ca/ca.crt", "certificates (PEM) that sign the API server's")
	flags.StringVar(&o.cluster, "cluster-name", "", "name of the cluster that the page shows")
	flags.StringVar(&o.namespace, "namespace", "default", "namespace that is shown to those who may not list all")
	flags.StringVar(&o.system, "system-namespace", "kuda-system", "namespace that Kuda is installed in")
}

func (o *options) validate() error {
	if (o.certFile == "") != (o.keyFile == "") {
		return errors.New("--tls-cert-file and --tls-key-file go together")
	}
	if o.apiServer == "" || o.namespace == "" {
		return errors.New("--api-server and --namespace must not be empty")
	}
	return nil
}

func (o *options) run(ctx context.Context) error {
	if err := o.validate(); err != nil {
		return err
	}
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-o.verbosity)}))
	ctrl.SetLogger(log)
	memorylimit.Set(log)
	tlsConfig, err := o.tlsConfig(log)
	if err != nil {
		return err
	}
	door := session.NewTokens(session.TokenOptions{
		Config: &rest.Config{Host: o.apiServer, TLSClientConfig: rest.TLSClientConfig{CAFile: o.caFile}, QPS: queriesPerSecond,
			Burst: queryBurst, UserAgent: "kuda-dashboard/" + version.Version, WarningHandler: rest.NoWarnings{}},
		Connect: connect, Cluster: o.cluster, Namespace: o.namespace, Now: time.Now,
	})
	server := dashboard.New(dashboard.Options{Door: door, Hosts: o.hosts, Page: page.Built(), System: o.system, TLS: tlsConfig,
		Now: time.Now, Limits: dashboard.DefaultLimits(), Log: log})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	log.Info("started", "version", version.Version, "listen", o.listen)
	checks := map[string]healthz.Checker{"ping": func(*http.Request) error { return nil }}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return observe.Serve(ctx, o.health, observe.Probes(checks, checks)) })
	group.Go(func() error { return observe.Serve(ctx, o.metrics, observe.Metrics(server.Gatherer())) })
	group.Go(func() error { return server.Serve(ctx, listener) })
	return group.Wait()
}

func connect(config *rest.Config) (client.WithWatch, error) {
	return client.NewWithWatch(config, client.Options{Scheme: frame.Scheme()})
}

func (o *options) tlsConfig(log logr.Logger) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.certFile != "" {
		files, err := certificate.Open(o.certFile, o.keyFile)
		if err != nil {
			return nil, err
		}
		config.GetCertificate = files.Get
		return config, nil
	}
	log.Info("no --tls-cert-file was given: serving with a certificate that nothing trusts")
	own, err := certificate.NewSelf([]string{"kuda-dashboard", "kuda-dashboard." + o.system + ".svc"}, time.Now)
	if err != nil {
		return nil, err
	}
	config.GetCertificate = own.Get
	return config, nil
}
