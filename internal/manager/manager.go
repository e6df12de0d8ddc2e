// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/analysis"
	"github.com/kuda-io/kuda/internal/attendance"
	"github.com/kuda-io/kuda/internal/controller/data"
	"github.com/kuda-io/kuda/internal/controller/dataset"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/controller/nodestore"
	"github.com/kuda-io/kuda/internal/controller/preheat"
	"github.com/kuda-io/kuda/internal/controller/remains"
	"github.com/kuda-io/kuda/internal/fieldindex"
	"github.com/kuda-io/kuda/internal/gateway"
	"github.com/kuda-io/kuda/internal/gateway/hook"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/pki/gatewayca"
)

// leaseName is the Lease that the leader holds.
const leaseName = "kuda-manager"

// Options of a manager.
type Options struct {
	// GatewayAddress, HealthAddress, MetricsAddress and PprofAddress are where
	// to listen, host:port; "0" switches the last three off.
	GatewayAddress string
	HealthAddress  string
	MetricsAddress string
	PprofAddress   string

	// Namespace is where the replicas run, and Replica is this one's pod: in a Lease of
	// the name they say which runtimes they hear. Empty: silence is not noticed.
	Namespace string
	Replica   string

	// LeaderElection lets several replicas run; LeaderNamespace is where their
	// Lease is, empty: the own namespace.
	LeaderElection  bool
	LeaderNamespace string

	// ExecHooks lets the gateway run declared exec hooks.
	ExecHooks bool
	// HookOutput shows in the status of Data what failed hooks printed.
	HookOutput bool
	// Keeper is the account of the keepers of nodes; empty: none is heard.
	Keeper identity.Account
	// Preheat makes the pods of DataSets with spec.preheat.
	Preheat bool

	// RemoveGoneStores makes the pods that remove from nodes what namespaces that
	// are gone left there.
	RemoveGoneStores bool
	// RuntimeImage runs in these pods and is pulled by PullSecrets (nil: none);
	// HostPath is the directory of the stores.
	RuntimeImage string
	PullSecrets  func() []corev1.LocalObjectReference
	HostPath     func() string
	// DataPath is where applications find their data; nil: at the default.
	DataPath func() string

	// DataSetMetrics gives each DataSet metrics of its own, on the leader.
	DataSetMetrics bool

	// Concurrency is how many DataSets, and how many Data, are worked on at once.
	Concurrency int

	// Analysis is how the measurements of rollouts are taken; its Changed is
	// set by New.
	Analysis analysis.Options

	// Certificates prove the gateway.
	Certificates gateway.Certificates
	// Registry takes the metrics.
	Registry prometheus.Registerer
	Log      logr.Logger
}

// Manager is kuda-manager, ready to start.
type Manager struct {
	ctrl.Manager
	// Direct writes without a cache behind it, so that writing a kind of object
	// never leads to watching it. It is the one to use for a Secret.
	Direct  client.Client
	gateway *gateway.Server
}

// GatewayAddress is where the gateway listens, host:port; empty before it does.
func (m *Manager) GatewayAddress() string {
	if address := m.gateway.Address(); address != nil {
		return address.String()
	}
	return ""
}

// New puts a manager together. It reads the API server's list of resources,
// and starts nothing.
func New(cfg *rest.Config, o Options) (*Manager, error) {
	cfg = withoutRateLimit(cfg)
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	cacheOptions, err := cacheOptions(o.DataPath, o.Namespace)
	if err != nil {
		return nil, err
	}
	graceful := 30 * time.Second
	yes := true
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        o.Log,
		Cache:                         cacheOptions,
		Client:                        client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &yes}},
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.LeaderNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaderElectionConfig:          leaderConfig(cfg),
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		RetryPeriod:                   new(renewInterval),
		// The probes and the metrics have servers with bounds of their own.
		HealthProbeBindAddress:  "0",
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		PprofBindAddress:        o.PprofAddress,
		GracefulShutdownTimeout: &graceful,
		Controller:              config.Controller{SkipNameValidation: &yes},
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := fieldindex.Add(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	if err := preheat.AddIndexes(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	// The gateway has it too: the controllers' reads wait until the cache shows
	// what they wrote, and are not to wait for every report.
	direct, err := client.New(cfg, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("making the gateway's client: %w", err)
	}
	heard, err := addAttendance(mgr, direct, o)
	if err != nil {
		return nil, err
	}
	if err := addControllers(mgr, o, heard); err != nil {
		return nil, err
	}
	server, err := addGateway(mgr, cfg, direct, o, heard.book)
	if err != nil {
		return nil, err
	}
	return &Manager{Manager: mgr, Direct: direct, gateway: server}, nil
}

func addControllers(mgr ctrl.Manager, o Options, heard attendanceParts) error {
	collectors := []prometheus.Collector{newCollector(mgr.GetCache()), newLeaderCollector(mgr.Elected())}
	if o.DataSetMetrics {
		collectors = append(collectors, newDataSetCollector(mgr.GetCache(), mgr.Elected(), maxMeasuredDataSets))
	}
	for _, c := range collectors {
		if err := o.Registry.Register(c); err != nil {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	analyst, measured, err := addAnalyst(mgr, o)
	if err != nil {
		return err
	}
	sets, err := dataset.New(dataset.Options{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Recorder: events.Bounded(mgr.GetEventRecorder("kuda-dataset-controller")),
		Clock:    clock.RealClock{},
		Registry: o.Registry,
		Analyst:  analyst,
		Measured: measured,
	})
	if err != nil {
		return err
	}
	if err := sets.Setup(mgr, o.Concurrency); err != nil {
		return fmt.Errorf("adding the DataSet controller: %w", err)
	}
	datas := data.New(data.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: events.Bounded(mgr.GetEventRecorder("kuda-data-controller")),
		Clock:      clock.RealClock{},
		Attendance: heard.roll, Changed: heard.changed, Authority: o.Certificates.Bundle,
	})
	if err := datas.Setup(mgr, o.Concurrency); err != nil {
		return fmt.Errorf("adding the Data controller: %w", err)
	}
	preheats := preheat.New(preheat.Options{
		Client: mgr.GetClient(), Recorder: events.Bounded(mgr.GetEventRecorder("kuda-preheat-controller")),
		Clock: clock.RealClock{}, Off: !o.Preheat,
	})
	if err := preheats.Setup(mgr, o.Concurrency); err != nil {
		return fmt.Errorf("adding the preheat controller: %w", err)
	}
	if err := nodestore.New(mgr.GetClient(), mgr.GetAPIReader()).Setup(mgr, o.Concurrency); err != nil {
		return fmt.Errorf("adding the NodeStore controller: %w", err)
	}
	return addRemains(mgr, o)
}

func addRemains(mgr ctrl.Manager, o Options) error {
	if !o.RemoveGoneStores {
		return nil
	}
	r, err := remains.New(remains.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: events.Bounded(mgr.GetEventRecorder("kuda-remains-controller")),
		Clock: clock.RealClock{}, Image: o.RuntimeImage, HostPath: o.HostPath, PullSecrets: o.PullSecrets,
	})
	if err != nil {
		return err
	}
	if err := r.Setup(mgr, o.Concurrency); err != nil {
		return fmt.Errorf("adding the controller of what namespaces left: %w", err)
	}
	return nil
}

// measuredAhead is how many complete measurements may wait for the controller.
const measuredAhead = 1024

// addAnalyst returns what takes the measurements of rollouts, and a channel of
// the DataSets of which one is complete.
func addAnalyst(mgr ctrl.Manager, o Options) (*analysis.Runner, <-chan event.GenericEvent, error) {
	measured := make(chan event.GenericEvent, measuredAhead)
	options := o.Analysis
	options.Changed = func(key types.NamespacedName) {
		measured <- event.GenericEvent{Object: &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}}
	}
	analyst, err := analysis.NewRunner(options)
	if err != nil {
		return nil, nil, fmt.Errorf("making what takes measurements: %w", err)
	}
	if err := mgr.Add(analyst); err != nil {
		return nil, nil, fmt.Errorf("adding what takes measurements: %w", err)
	}
	return analyst, measured, nil
}

func addGateway(mgr ctrl.Manager, cfg *rest.Config, direct client.Client, o Options, book *attendance.Book) (*gateway.Server, error) {
	var executor gateway.Executor
	if o.ExecHooks {
		var err error
		if executor, err = hook.NewExecutor(cfg); err != nil {
			return nil, err
		}
	}
	server, err := gateway.New(gateway.Options{
		Address:      o.GatewayAddress,
		Certificates: o.Certificates,
		Cache:        mgr.GetCache(),
		Live:         mgr.GetAPIReader(),
		Client:       direct,
		Attendance:   book,
		Executor:     executor,
		HookOutput:   o.HookOutput,
		Keeper:       o.Keeper,
		Recorder:     events.Bounded(mgr.GetEventRecorder("kuda-gateway")),
		Registry:     o.Registry,
		Clock:        clock.RealClock{},
		Log:          o.Log.WithName("gateway"),
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.Add(server); err != nil {
		return nil, fmt.Errorf("adding the gateway: %w", err)
	}
	if o.Keeper.Namespace != "" {
		publisher := gatewayca.New(gatewayca.Options{Client: direct, Namespace: o.Keeper.Namespace, Bundle: o.Certificates,
			Clock: clock.RealClock{}, Log: o.Log.WithName("gateway-ca")})
		if err := mgr.Add(publisher); err != nil {
			return nil, fmt.Errorf("adding what publishes the gateway's certificates: %w", err)
		}
	}
	// The gateway listens only after the caches have filled.
	if err := addObservation(mgr, o, server.Ready); err != nil {
		return nil, err
	}
	return server, nil
}

// withoutRateLimit leaves pacing to the API server's priority and fairness, which
// knows the load; a client's own limit only makes a large rollout slow.
func withoutRateLimit(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst, cfg.RateLimiter = -1, 0, nil
	if cfg.UserAgent == "" {
		cfg.UserAgent = "kuda-manager"
	}
	return cfg
}
