// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/admission/endpoint"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/admission/news"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/observe"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/pki/cabundle"
	"github.com/kuda-io/kuda/internal/placement"
)

// Options of the server.
type Options struct {
	// Address serves the webhooks, HealthAddress /healthz and /readyz, and
	// MetricsAddress /metrics; "0" turns one of the latter two off.
	Address, HealthAddress, MetricsAddress string
	// PeersAddress serves the other replicas, and Peers is the name and the port that
	// lead to all of them; empty: the replicas tell each other nothing, and the API server is
	// asked for each pod.
	PeersAddress, Peers string
	// Names that the API server calls the webhook by.
	Names []string
	// Configuration is the name of both webhook configurations.
	Configuration string
	// TokenFile holds the token that the webhook shows the API server; its
	// audiences are those of the API server.
	TokenFile string
	// Drain is how long requests are still answered after the process was asked
	// to end, so that the API server learns to ask another replica.
	Drain time.Duration
	// ClientCAFile has the certificates (PEM) that sign those of callers; empty
	// admits every client that can connect. ClientNames are the names that such a
	// certificate may bear; none is any.
	ClientCAFile string
	ClientNames  []string
	// Registry takes the metrics; nil is the one that MetricsAddress serves.
	Registry prometheus.Registerer
}

// Parts that the server serves with.
type Parts struct {
	Authority *pki.Authority
	Config    *config.File
}

// Server is kuda-webhook.
type Server struct {
	manager   manager.Manager
	publisher *cabundle.Publisher
	options   Options
	// news is nil where the replicas tell each other nothing.
	news     *news.Exchange
	draining atomic.Bool
}

// New puts the server together; nothing is bound before Run.
func New(restConfig *rest.Config, opts Options, parts Parts) (*Server, error) {
	if opts.Registry == nil {
		opts.Registry = metrics.Registry
	}
	var clients *endpoint.Clients
	if opts.ClientCAFile != "" {
		var err error
		if clients, err = endpoint.NewClients(opts.ClientCAFile, opts.ClientNames); err != nil {
			return nil, err
		}
	}
	leaf := parts.Authority.Leaf(opts.Names...)
	mgr, err := ctrl.NewManager(restConfig, manager.Options{
		Scheme: newScheme(),
		Cache:  cacheOptions(opts.Configuration),
		// Those of controller-runtime have no limits.
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		WebhookServer: endpoint.New(endpoint.Options{
			Address: opts.Address, GetCertificate: leaf.GetCertificate, Clients: clients,
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("making the webhook server: %w", err)
	}
	inventory, err := newInventory(restConfig, cache.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{&v1alpha1.NodeStore{}: {Transform: marksOnly}},
	}, ctrl.Log.WithName("inventory"))
	if err != nil {
		return nil, err
	}
	publisher := cabundle.New(mgr.GetClient(), mgr.GetCache(), parts.Authority, opts.Configuration)
	s := &Server{manager: mgr, publisher: publisher, options: opts}
	settings := func() inject.Settings {
		in := parts.Config.Current().Settings(parts.Authority.Bundle())
		in.Audiences = withAPIAudiences(in.Audiences, opts.TokenFile)
		return in
	}
	gate, err := intake.NewGate(opts.Registry)
	if err != nil {
		return nil, err
	}
	if err := s.addNews(parts.Authority); err != nil {
		return nil, err
	}
	if err := s.registerHandlers(gate, settings, inventory, opts.Registry); err != nil {
		return nil, err
	}
	if err := s.handleAuthors(gate, restConfig, parts.Config, settings, opts.Registry); err != nil {
		return nil, err
	}
	err = errors.Join(
		mgr.Add(parts.Authority), mgr.Add(parts.Config), mgr.Add(publisher), mgr.Add(inventory),
		opts.Registry.Register(pki.Collector{Authority: parts.Authority, Leaf: leaf}),
		opts.Registry.Register(parts.Config.Collector()),
	)
	if err != nil {
		return nil, fmt.Errorf("putting the webhook server together: %w", err)
	}
	return s, nil
}

// addNews has the replicas tell each other which namespaces get a changed DataSet.
func (s *Server) addNews(authority *pki.Authority) error {
	if s.options.Peers == "" {
		return nil
	}
	s.news = news.New(news.Options{
		Peers: s.options.Peers, Address: s.options.PeersAddress, Settle: admission.SettleTime,
		Identity: news.Identity{Certificate: authority.Leaf(news.PeerName).GetCertificate, Roots: authority.Bundle},
		Clock:    clock.RealClock{}, Log: ctrl.Log.WithName("news"),
	})
	if err := s.manager.Add(s.news); err != nil {
		return fmt.Errorf("adding what tells the other replicas: %w", err)
	}
	return nil
}

func (s *Server) registerHandlers(gate *intake.Gate, settings func() inject.Settings, inventory *inventory,
	registry prometheus.Registerer) error {
	counts, err := admission.NewMetrics(registry)
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	log := ctrl.Log.WithName("admission")
	var told admission.News
	if s.news != nil {
		told = s.news
	}
	admission.Register(s.manager.GetWebhookServer(), gate, admission.Pods{
		News:  told,
		Cache: s.manager.GetCache(),
		Live:  s.manager.GetAPIReader(),
		Places: &admission.Places{
			Index: inventory.index,
			Ready: inventory.Ready,
			// A revision is read once, when its rollout begins: a cache of all of
			// them would be larger than all else here.
			Wants: &placement.Memo{Reader: s.manager.GetAPIReader()},
		},
		Settings: settings,
		Metrics:  counts,
		Log:      log,
	}, &admission.DataSets{Settings: settings, Cache: s.manager.GetCache(), Log: log})
	return nil
}

// Run serves until the context ends, and for the time of Options.Drain after that.
func (s *Server) Run(ctx context.Context) error {
	// The caches have to be there before the first request, not begin with it.
	for _, object := range cachedObjects() {
		if _, err := s.manager.GetCache().GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil {
			return fmt.Errorf("starting the caches: %w", err)
		}
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() {
		select {
		case <-serving.Done():
			return
		case <-ctx.Done():
		}
		s.draining.Store(true)
		timer := time.NewTimer(s.options.Drain)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-serving.Done():
		}
		stop()
	}()
	group, working := errgroup.WithContext(serving)
	// Not the manager's: it would start them only when the caches are filled.
	group.Go(func() error { return observe.Serve(working, s.options.HealthAddress, s.probesHandler()) })
	group.Go(func() error {
		return observe.Serve(working, s.options.MetricsAddress, observe.Metrics(metrics.Registry))
	})
	group.Go(func() error { return s.manager.Start(working) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("serving webhooks: %w", err)
	}
	return nil
}

func (s *Server) probesHandler() http.Handler {
	serving := s.manager.GetWebhookServer().StartedChecker()
	return observe.Probes(map[string]healthz.Checker{"serving": serving}, map[string]healthz.Checker{
		"serving": serving, "ca-bundle": s.publisher.Ready, "caches": s.cachesSynced, "draining": s.notDraining,
	})
}

func (s *Server) notDraining(*http.Request) error {
	if s.draining.Load() {
		return errors.New("the server is about to end")
	}
	return nil
}

func (s *Server) cachesSynced(*http.Request) error {
	for _, object := range cachedObjects() {
		informer, err := s.manager.GetCache().GetInformer(context.Background(), object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("looking at the caches: %w", err)
		}
		if !informer.HasSynced() {
			return fmt.Errorf("the cache of %T is not filled yet", object)
		}
	}
	return nil
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	// Neither can fail on a new scheme: they only add types.
	_ = clientgoscheme.AddToScheme(s)
	_ = v1alpha1.AddToScheme(s)
	return s
}

// cacheOptions keep in memory what injection looks at, and watch only Kuda's own
// webhook configurations, which is also all that the rights allow.
func cacheOptions(configuration string) cache.Options {
	byName := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", configuration)}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.DataSet{}: {Transform: revisionsOnly},
			&admissionregistrationv1.MutatingWebhookConfiguration{}:   byName,
			&admissionregistrationv1.ValidatingWebhookConfiguration{}: byName,
		},
	}
}

// revisionsOnly leaves of a DataSet's status what says which revision new pods get.
func revisionsOnly(object any) (any, error) {
	if ds, ok := object.(*v1alpha1.DataSet); ok {
		have := &ds.Status
		kept := v1alpha1.DataSetStatus{
			ObservedGeneration: have.ObservedGeneration, CurrentRevision: have.CurrentRevision, UpdateRevision: have.UpdateRevision,
		}
		if r := have.Rollout; r != nil {
			kept.Rollout = &v1alpha1.RolloutStatus{Revision: r.Revision, Phase: r.Phase}
		}
		ds.ManagedFields, ds.Status = nil, kept
	}
	return object, nil
}

// cachedObjects is one object of each kind that injection looks at.
func cachedObjects() []client.Object {
	return []client.Object{&v1alpha1.DataSet{}, &corev1.LimitRange{}, namespaceMetadata()}
}

func namespaceMetadata() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return m
}
