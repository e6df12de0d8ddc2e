// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package news

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

// authority signs the certificates of a test.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key, certificate}
}

// identify returns the identity of who has a certificate with the name.
func (a authority) identify(t *testing.T, name string) Identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	return Identity{
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return leaf, nil },
		Roots:       func() []byte { return roots },
	}
}

// network is the addresses that the name of the replicas leads to.
type network struct {
	port string

	mu        sync.Mutex
	addresses []string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	return &network{port: port}
}

func (n *network) resolve(context.Context, string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addresses, nil
}

func (n *network) set(addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = addresses
}

// replica makes one that listens on an address of the machine.
func (n *network) replica(address string, i Identity, c clock.WithTicker) *Exchange {
	return New(Options{
		Peers: "replicas:" + n.port, Address: net.JoinHostPort(address, n.port), Identity: i, Settle: time.Minute,
		Resolve: n.resolve, Clock: c, Log: logr.Discard(),
	})
}

// run serves the replica until the test ends, or the returned function is called.
func run(t *testing.T, e *Exchange) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.serve(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if c, err := net.Dial("tcp", e.options.Address); err == nil {
			_ = c.Close()
			return stop
		}
		<-again.C
	}
}

func TestEveryReplicaHearsOfAChangeBeforeTellReturns(t *testing.T) {
	n, a := newNetwork(t), newAuthority(t)
	var mu sync.Mutex
	heard := map[string]int{}
	var replicas []*Exchange
	for _, address := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		e := n.replica(address, a.identify(t, PeerName), clock.RealClock{})
		e.Listen(func(namespace string) {
			mu.Lock()
			defer mu.Unlock()
			heard[address+" "+namespace]++
		})
		run(t, e)
		replicas = append(replicas, e)
	}
	n.set("127.0.0.1", "127.0.0.2", "127.0.0.3")
	replicas[1].Tell(t.Context(), "shop")
	mu.Lock()
	defer mu.Unlock()
	for _, address := range n.addresses {
		if heard[address+" shop"] != 1 {
			t.Errorf("heard: %v", heard)
		}
	}
}

func TestNewsIsCompleteOnlyWhileAllReplicasReachEachOther(t *testing.T) {
	n, a := newNetwork(t), newAuthority(t)
	fake := clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0))
	first := n.replica("127.0.0.1", a.identify(t, PeerName), fake)
	second := n.replica("127.0.0.2", a.identify(t, PeerName), fake)
	run(t, first)
	stop := run(t, second)
	complete := func(want bool, when string) {
		t.Helper()
		if got := first.IsComplete(); got != want {
			t.Errorf("%s: complete is %v", when, got)
		}
	}
	settle := func() {
		for range 13 {
			first.checkPeers(t.Context())
			fake.Step(roundInterval)
		}
	}
	complete(false, "before the first look")
	settle()
	complete(false, "with a name that leads nowhere")
	n.set("127.0.0.2")
	settle()
	complete(false, "with a name that leads to others only")
	n.set("127.0.0.1", "127.0.0.2")
	first.checkPeers(t.Context())
	complete(false, "right after all reached each other")
	settle()
	complete(true, "a minute later")
	stop()
	first.checkPeers(t.Context())
	complete(false, "with a replica that does not respond")
	n.set("127.0.0.1")
	first.checkPeers(t.Context())
	complete(false, "right after that replica is gone")
	settle()
	complete(true, "a minute later")
	fake.Step(3 * roundInterval)
	complete(false, "when the looks stand still")
}

func TestStrangersTellNothingAndAreToldNothing(t *testing.T) {
	n, a := newNetwork(t), newAuthority(t)
	e := n.replica("127.0.0.1", a.identify(t, PeerName), clock.RealClock{})
	e.Listen(func(namespace string) { t.Errorf("was told of %s", namespace) })
	run(t, e)
	n.set("127.0.0.1")
	for at, i := range map[string]Identity{
		"127.0.0.2": a.identify(t, "kuda-webhook.kuda-system.svc"),
		"127.0.0.3": newAuthority(t).identify(t, PeerName),
	} {
		stranger := n.replica(at, i, clock.RealClock{})
		if _, err := stranger.callAll(t.Context(), http.MethodPost, pathChanged+"shop"); err == nil {
			t.Errorf("%s was heard", at)
		}
		run(t, stranger)
		n.set(at)
		if _, err := e.callAll(t.Context(), http.MethodPost, pathChanged+"shop"); err == nil {
			t.Errorf("%s was told", at)
		}
		n.set("127.0.0.1")
	}
	without := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}}
	if response, err := without.Post("https://"+e.options.Address+pathChanged+"shop", "", nil); err == nil {
		_ = response.Body.Close()
		t.Error("a caller without a certificate was heard")
	}
}

func TestOnlyNamesOfNamespacesAreTaken(t *testing.T) {
	n, a := newNetwork(t), newAuthority(t)
	e := n.replica("127.0.0.1", a.identify(t, PeerName), clock.RealClock{})
	e.Listen(func(namespace string) { t.Errorf("was told of %s", namespace) })
	run(t, e)
	n.set("127.0.0.1")
	if _, err := e.callAll(t.Context(), http.MethodPost, pathChanged+"No%20name"); err == nil {
		t.Error("what is no name was taken")
	}
}

func TestAReplicaThatHangsHoldsAChangeUpBriefly(t *testing.T) {
	n, a := newNetwork(t), newAuthority(t)
	silent, err := net.Listen("tcp", "127.0.0.9:"+n.port)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	e := n.replica("127.0.0.1", a.identify(t, PeerName), clock.RealClock{})
	n.set("127.0.0.9")
	started := time.Now()
	e.Tell(t.Context(), "shop")
	if took := time.Since(started); took > 2*tellTimeout {
		t.Errorf("took %s", took)
	}
	if _, err := e.callAll(t.Context(), "GET", "/"); err == nil || errors.Is(err, errNoPeers) {
		t.Errorf("got %v", err)
	}
}
