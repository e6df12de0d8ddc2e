// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/manager"
	"github.com/kuda-io/kuda/internal/memorylimit"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/pki/createca"
	"github.com/kuda-io/kuda/internal/pki/rotation"
)

const about = `kuda-manager turns DataSets into one Data per pod, rolls changes out, and
serves the gateway that the pods' runtimes talk to.

Run at least two replicas: the controllers work on one of them, the gateway on
all. A runtime that loses its replica goes to another, and keeps the data that
it has in the meantime. The manager reads no Secrets through the API: its
certificate authority is a Secret that the kubelet mounts; "create-ca" makes it
once, at installation.`

func newCommand() *cobra.Command {
	o := &options{}
	groups := o.bindFlags()
	command := &cobra.Command{
		Use:          "kuda-manager",
		Short:        "Run Kuda's controllers and gateway",
		Long:         about,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		PersistentPreRun: func(command *cobra.Command, _ []string) {
			log := newLogger(o.logLevel)
			command.SetContext(logr.NewContext(command.Context(), log))
		},
		RunE: func(command *cobra.Command, _ []string) error {
			if err := o.completeAndValidate(); err != nil {
				return err
			}
			cfg, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			return run(command.Context(), cfg, o)
		},
	}
	for _, g := range groups {
		command.Flags().AddFlagSet(g.flags)
	}
	command.AddCommand(createca.Command())
	command.SetHelpFunc(newHelpFunc(command, command.HelpFunc(), groups))
	return command
}

// newHelpFunc shows the root's flags in groups, and other commands' as cobra does.
func newHelpFunc(root *cobra.Command, standard func(*cobra.Command, []string), groups []group) func(*cobra.Command, []string) {
	return func(command *cobra.Command, args []string) {
		if command != root {
			standard(command, args)
			return
		}
		fmt.Fprintf(command.OutOrStdout(), "%s\n\n%s", command.Long, usageText(groups))
	}
}

func newLogger(level int) logr.Logger {
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.Level(-level)})
	log := logr.FromSlogHandler(handler)
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	return log
}

// run works until the context ends.
func run(ctx context.Context, cfg *rest.Config, o *options) error {
	log := logr.FromContextOrDiscard(ctx)
	memorylimit.Set(log)
	authority, err := pki.LoadAuthority(pki.Options{Dir: o.caDir, Log: log.WithName("pki")})
	if err != nil {
		return err
	}
	o.manager.Log = log
	o.manager.Registry = metrics.Registry
	served := newCertificates(authority, o.gatewayNames)
	o.manager.Certificates = served
	if err := metrics.Registry.Register(pki.Collector{Authority: authority, Leaf: served.leaf}); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	settings, err := o.openConfig(log.WithName("config"))
	if err != nil {
		// Delivery goes on; only what namespaces left stays until this is right.
		log.Error(err, "removes no stores of namespaces that are gone; correct the ConfigMap and restart")
		o.manager.RemoveGoneStores = false
	}
	mgr, err := manager.New(cfg, o.manager)
	if err != nil {
		return err
	}
	if settings != nil {
		if err := mgr.Add(settings); err != nil {
			return fmt.Errorf("following the configuration: %w", err)
		}
	}
	if err := mgr.Add(authority); err != nil {
		return fmt.Errorf("following the certificate authority: %w", err)
	}
	if o.rotateCA {
		if err := mgr.Add(&rotation.Rotator{
			Client:    mgr.Direct,
			Secret:    types.NamespacedName{Namespace: o.namespace, Name: o.caSecret},
			Authority: authority,
			Log:       log.WithName("rotation"),
		}); err != nil {
			return fmt.Errorf("rotating the certificate authority: %w", err)
		}
	}
	log.Info("starting", "gateway", o.manager.GatewayAddress, "execHooks", o.manager.ExecHooks)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running: %w", err)
	}
	return nil
}

// openConfig reads the installation's configuration, of which the manager needs where
// the stores are; nil if it does not need it.
func (o *options) openConfig(log logr.Logger) (*config.File, error) {
	if !o.manager.RemoveGoneStores {
		return nil, nil
	}
	file, err := config.Open(o.config, o.manager.RuntimeImage, log)
	if err != nil {
		return nil, err
	}
	o.manager.PullSecrets = func() []corev1.LocalObjectReference { return file.Current().RuntimeImagePullSecrets }
	o.manager.HostPath = func() string { return file.Current().HostPath }
	o.manager.DataPath = func() string { return file.Current().DataPathPrefix }
	return file, nil
}

// certificates are the authority's in the form that the gateway wants.
type certificates struct {
	authority *pki.Authority
	leaf      *pki.Leaf
	changed   <-chan struct{}
}

func newCertificates(a *pki.Authority, names []string) *certificates {
	return &certificates{authority: a, leaf: a.Leaf(names...), changed: a.Changed()}
}

func (c *certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.leaf.GetCertificate(hello)
}

func (c *certificates) Bundle() []byte { return c.authority.Bundle() }

func (c *certificates) Changed() <-chan struct{} { return c.changed }
