// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/attendance"
	"github.com/kuda-io/kuda/internal/gateway/hub"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/nodestore"
	"github.com/kuda-io/kuda/internal/gateway/peer"
	"github.com/kuda-io/kuda/internal/gateway/report"
	"github.com/kuda-io/kuda/internal/gateway/share"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
)

var errNotListening = errors.New("the gateway does not listen yet")

// Certificates is how the gateway proves itself to runtimes.
type Certificates interface {
	// GetCertificate returns the certificate to serve with.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Bundle is the certificates (PEM) that runtimes are to trust from now on.
	Bundle() []byte
	// Changed receives when Bundle returns another; it may be nil.
	Changed() <-chan struct{}
}

// Options of a Server; all fields but Attendance and Executor are required.
type Options struct {
	// Address to listen on, host:port.
	Address      string
	Certificates Certificates
	// Cache has the indexes of package assignment; Live is not a cache.
	Cache cache.Cache
	Live  client.Reader
	// Client creates TokenReviews, patches the status of Data, and makes and
	// writes NodeStores.
	Client client.Client
	// Attendance takes whose streams are open, and when they were heard; nil: it is not asked.
	Attendance *attendance.Book
	// Executor runs hooks; nil switches exec hooks off.
	Executor Executor
	// HookOutput shows runtimes, and so the status of Data, what hooks print.
	HookOutput bool
	// Keeper is the account of the keepers of nodes; empty: there are none.
	Keeper identity.Account
	// Recorder tells of what keepers found; nil: nothing is told.
	Recorder Recorder
	Registry prometheus.Registerer
	Clock    clock.WithTicker
	Log      logr.Logger
}

// Recorder records events; package events has one.
type Recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Server is the gateway as a manager's runnable.
type Server struct {
	options       Options
	hub           *hub.Hub
	metrics       *metrics
	roster        *identity.Roster
	authenticator *identity.Authenticator
	listener      atomic.Pointer[peer.Listener]
}

// New makes a server. It does not listen before Start.
func New(o Options) (*Server, error) {
	if o.Attendance == nil {
		o.Attendance = new(attendance.Book)
	}
	s := &Server{options: o, hub: hub.New(), roster: identity.NewRoster(o.Cache, o.Live, o.Keeper)}
	var err error
	if s.metrics, err = newMetrics(o.Registry, s.hub, s.openConnections); err != nil {
		return nil, err
	}
	s.authenticator = identity.NewAuthenticator(o.Client, s.roster, o.Clock, s.metrics.countReview)
	return s, nil
}

// NeedLeaderElection reports whether only the leader serves: every replica does.
func (s *Server) NeedLeaderElection() bool { return false }

// Ready fails until the caches are filled and the gateway listens.
func (s *Server) Ready(*http.Request) error {
	if s.listener.Load() == nil {
		return errNotListening
	}
	return nil
}

// Address is where the gateway listens; nil before it does.
func (s *Server) Address() net.Addr {
	if l := s.listener.Load(); l != nil {
		return l.Addr()
	}
	return nil
}

// openConnections returns how many are open, of pods and of strangers.
func (s *Server) openConnections() (known, strangers int) {
	if l := s.listener.Load(); l != nil {
		return l.Open()
	}
	return 0, 0
}

// forgetPod ends what a pod has here when it is deleted.
func (s *Server) forgetPod(pod types.UID) {
	s.authenticator.Forget(pod)
	if l := s.listener.Load(); l != nil {
		l.DropPod(pod)
	}
}

// Start serves until the context ends; then it ends the streams, so that the
// runtimes go to another replica, and writes the reports that it has taken.
func (s *Server) Start(ctx context.Context) error {
	if err := watchCache(ctx, s.options.Cache, s.hub, s.forgetPod); err != nil {
		return err
	}
	if s.options.Keeper.Name != "" {
		if err := watchNamespaces(ctx, s.options.Cache, s.hub); err != nil {
			return err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("listening for runtimes: %w", err)
	}
	limited := peer.Limit(listener, connections, s.metrics.countDrop)
	s.listener.Store(limited)
	handler, stop := s.newHandler()
	server := s.httpServer(handler)

	var background sync.WaitGroup
	background.Go(func() { s.announceBundles(ctx) })
	background.Go(func() {
		<-ctx.Done()
		s.listener.Store(nil)
		stop()
		bounded, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(bounded); err != nil {
			s.options.Log.V(1).Info("cut connections that did not end in time", "error", err.Error())
			if err := server.Close(); err != nil {
				s.options.Log.V(1).Info("closed the listener with an error", "error", err.Error())
			}
		}
	})
	s.options.Log.Info("listened for runtimes", "address", listener.Addr().String())
	err = server.ServeTLS(limited, "", "")
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving runtimes: %w", err)
	}
	background.Wait()
	return nil
}

// newHandler builds the service; the function it returns ends the streams and
// flushes the reports.
func (s *Server) newHandler() (http.Handler, func()) {
	o := s.options
	writer := &report.Writer{Cached: o.Cache, Live: o.Live, Status: o.Client.Status(), Clock: o.Clock}
	stores := &nodestore.Writer{Cached: o.Cache, Live: o.Live, Client: o.Client, Clock: o.Clock}
	service := &service{
		cached:  o.Cache,
		live:    o.Live,
		hub:     s.hub,
		book:    o.Attendance,
		reports: report.NewQueue(writer, share.New(writeSlots), o.Clock, o.Log, s.metrics.countWrite),
		stores:  nodestore.NewQueue(stores, share.New(storeSlots), o.Clock, o.Log, s.metrics.wroteStore),
		hooks:   newHookRunner(o.Live, o.Executor, o.HookOutput),
		bundle:  o.Certificates.Bundle,
		paces:   newPaces(),
		metrics: s.metrics,
		record:  o.Recorder,
		clock:   o.Clock,
		log:     o.Log,
		closing: make(chan struct{}),
	}
	_, handler := gatewayv1alpha1connect.NewGatewayServiceHandler(service,
		connect.WithReadMaxBytes(max(maxReportBytes, maxStoreBytes, maxNodeBytes)),
		connect.WithSendMaxBytes(maxResponse),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, cause any) error {
			o.Log.Error(fmt.Errorf("panic: %v", cause), "recovered a call", "procedure", spec.Procedure)
			return connect.NewError(connect.CodeInternal, errors.New("the call failed in the gateway"))
		}),
	)
	return s.newDoor(handler, service.paces), func() {
		close(service.closing)
		service.reports.Close()
		service.stores.Close()
	}
}

// announceBundles tells every runtime of new certificates to trust.
func (s *Server) announceBundles(ctx context.Context) {
	changed := s.options.Certificates.Changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
			s.hub.WakeAll()
		}
	}
}
