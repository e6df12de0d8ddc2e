// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// handler passes on what it is told.
type handler struct {
	desired   chan *gatewayv1alpha1.WatchResponse
	connected chan bool
	unreached chan error
}

func newHandler() *handler {
	return &handler{desired: make(chan *gatewayv1alpha1.WatchResponse, 100), connected: make(chan bool, 100),
		unreached: make(chan error, 100)}
}

func (h *handler) Desired(m *gatewayv1alpha1.WatchResponse) { h.desired <- m }
func (h *handler) Connected(yes bool)                       { h.connected <- yes }
func (h *handler) Unreached(err error)                      { h.unreached <- err }

// otherCA makes a certificate that no gateway here has.
func otherCA(t *testing.T, notAfter time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "other"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: notAfter.Add(-time.Hour), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func options(t *testing.T, g *agenttest.Gateway) uplink.Options {
	t.Helper()
	dir := t.TempDir()
	o := uplink.Options{Address: g.Address, CA: g.CA, CAFile: filepath.Join(dir, "ca.pem"),
		TokenFile: filepath.Join(dir, "token"), Log: logr.Discard()}
	if err := os.WriteFile(o.TokenFile, []byte(agenttest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// reaches reports whether a report gets through.
func reaches(t *testing.T, o uplink.Options) error {
	t.Helper()
	c, err := uplink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Report(t.Context(), &gatewayv1alpha1.ReportRequest{Data: "x"})
}

func TestGatewayWithAnotherCertificateGetsNoToken(t *testing.T) {
	g := agenttest.NewGateway(t)
	o := options(t, g)
	o.CA = otherCA(t, time.Now().Add(time.Hour))
	if err := reaches(t, o); err == nil || len(g.Reports()) > 0 {
		t.Errorf("spoke with a stranger: %v", err)
	}
	o = options(t, g)
	if err := reaches(t, o); err != nil {
		t.Errorf("the right gateway: %v", err)
	}
}

// After Kuda was uninstalled and installed again there is nothing that the old pods could
// do; what people can do is said.
func TestTheGatewayOfAnotherAuthorityIsSaidToBeOne(t *testing.T) {
	g := agenttest.NewGateway(t)
	o := options(t, g)
	o.CA = otherCA(t, time.Now().Add(time.Hour))
	c, err := uplink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h, ended := newHandler(), make(chan struct{})
	go func() { defer close(ended); c.Watch(ctx, &gatewayv1alpha1.WatchRequest{}, h) }()
	if err := <-h.unreached; !strings.Contains(err.Error(), "signed by another authority") ||
		!strings.Contains(err.Error(), "restart this pod") {
		t.Errorf("a gateway of another authority: %v", err)
	}
	cancel()
	<-ended
	g.Down()
	o = options(t, g)
	c, err = uplink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel = context.WithCancel(t.Context())
	h, ended = newHandler(), make(chan struct{})
	go func() { defer close(ended); c.Watch(ctx, &gatewayv1alpha1.WatchRequest{}, h) }()
	if err := <-h.unreached; strings.Contains(err.Error(), "authority") {
		t.Errorf("a gateway that is down: %v", err)
	}
	cancel()
	<-ended
}

func TestRotatedTokenIsReadAgain(t *testing.T) {
	g := agenttest.NewGateway(t)
	o := options(t, g)
	c, err := uplink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tt := range []struct {
		token string
		ok    bool
	}{{"expired", false}, {agenttest.Token, true}} {
		if err := os.WriteFile(o.TokenFile, []byte(tt.token), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.Report(t.Context(), &gatewayv1alpha1.ReportRequest{Data: "x"}); (err == nil) != tt.ok {
			t.Errorf("with token %q: %v", tt.token, err)
		}
	}
}

func TestAnnouncedCertificatesAreTrustedAfterARestart(t *testing.T) {
	g := agenttest.NewGateway(t)
	o := options(t, g)
	both := append(otherCA(t, time.Now().Add(time.Hour)), g.CA...)
	g.WantMessage(&gatewayv1alpha1.WatchResponse{CaBundle: both})
	c, err := uplink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h, ended := newHandler(), make(chan struct{})
	go func() { defer close(ended); c.Watch(ctx, &gatewayv1alpha1.WatchRequest{}, h) }()
	<-h.connected
	cancel()
	<-ended
	c.Close()
	o.CA = otherCA(t, time.Now().Add(time.Hour))
	if err := reaches(t, o); err != nil {
		t.Errorf("with announced certificates: %v", err)
	}
	for name, bad := range map[string][]byte{"expired": otherCA(t, time.Now().Add(-time.Minute)), "damaged": []byte("no PEM")} {
		if err := os.WriteFile(o.CAFile, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		o.CA = g.CA
		if err := reaches(t, o); err != nil {
			t.Errorf("with %s announced certificates the first ones must do: %v", name, err)
		}
	}
}

func TestWatchComesBackByItself(t *testing.T) {
	g := agenttest.NewGateway(t)
	c, err := uplink.New(options(t, g))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h, ended := newHandler(), make(chan struct{})
	go func() { defer close(ended); c.Watch(ctx, &gatewayv1alpha1.WatchRequest{}, h) }()
	for range 3 {
		if <-h.desired; !<-h.connected {
			t.Fatal("not connected")
		}
		g.Down()
		if <-h.connected {
			t.Fatal("the end of the stream was not noticed")
		}
		g.Up(g.Address)
	}
	cancel()
	<-ended
}

// valve is a proxy whose connections stay open but carry nothing once it is shut,
// like those to a node that has lost its power.
func valve(t *testing.T, target string) (address string, shut func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var closed atomic.Bool
	pass := func(dst, src net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := src.Read(buf)
			if err != nil {
				_ = dst.Close()
				return
			}
			if !closed.Load() {
				_, _ = dst.Write(buf[:n])
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String(), func() { closed.Store(true) }
}

func TestGatewayThatDiedSilentlyIsGivenUp(t *testing.T) {
	g := agenttest.NewGateway(t)
	o := options(t, g)
	address, shut := valve(t, g.Address)
	o.Address, o.PingAfter, o.PingTimeout = address, 50*time.Millisecond, 50*time.Millisecond
	c, err := uplink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h, ended := newHandler(), make(chan struct{})
	go func() { defer close(ended); c.Watch(ctx, &gatewayv1alpha1.WatchRequest{}, h) }()
	if !<-h.connected {
		t.Fatal("not connected")
	}
	shut()
	select {
	case <-h.connected:
	case <-time.After(20 * time.Second):
		t.Error("still believes in a dead connection")
	}
	cancel()
	<-ended
}
