// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/gateway/share"
)

// ErrFull says that the gateway has as many connections of pods as it can keep.
var ErrFull = errors.New("this replica of the gateway serves as many pods as it can; connect again to reach another")

// Limits of a Listener.
type Limits struct {
	// Strangers is how many connections may be open that no call was accepted on,
	// and Patience how long each of them.
	Strangers int
	Patience  time.Duration
	// Known is how many connections of pods may be open, PerPod those of one pod,
	// and PerNamespace those of the pods of one namespace.
	Known, PerPod, PerNamespace int
	// Visits bounds the requests that are under way on strangers' connections, Calls
	// those on the connections of pods.
	Visits int
	Calls  share.Limits
}

// Listener accepts connections within limits. It is safe for concurrent use.
type Listener struct {
	net.Listener
	limits Limits
	// dropped is told why a connection was closed.
	dropped func(reason string)
	calls   *share.Pool

	mu sync.Mutex
	// strangers are by address, the oldest first; waiting counts them, visiting
	// their requests.
	strangers map[string][]*Conn
	waiting   int
	visiting  int
	pods      map[types.UID][]*Conn
	spaces    map[string]int
	known     int
}

// Reasons why connections are closed.
const (
	ReasonSilent  = "silent"
	ReasonCrowded = "crowded"
	ReasonPod     = "pod"
	ReasonEager   = "eager"
)

// Limit wraps a listener.
func Limit(inner net.Listener, l Limits, dropped func(reason string)) *Listener {
	return &Listener{
		Listener: inner, limits: l, dropped: dropped, calls: share.New(l.Calls),
		strangers: make(map[string][]*Conn), pods: make(map[types.UID][]*Conn), spaces: make(map[string]int),
	}
}

// Conn is one connection.
type Conn struct {
	net.Conn
	listener  *Listener
	address   string
	accepted  time.Time
	patience  *time.Timer
	visits    int
	pod       types.UID
	namespace string
	gone      bool
	// heard is when something came last, in nanoseconds since 1970.
	heard atomic.Int64
}

// Read reads, and notes that something came.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Heard returns a function that tells when something came last on the connection of
// the context: it answers pings, so a peer that lives is heard again and again. Without
// a connection that is always now.
func Heard(ctx context.Context) func() time.Time {
	c, ok := ctx.Value(contextKey{}).(*Conn)
	if !ok {
		return time.Now
	}
	return func() time.Time { return time.Unix(0, c.heard.Load()) }
}

// Accept waits for the next connection, and makes room for it.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: inner, listener: l, address: remoteHost(inner.RemoteAddr()), accepted: time.Now()}
	l.mu.Lock()
	c.patience = time.AfterFunc(l.limits.Patience, c.dropStranger)
	l.strangers[c.address] = append(l.strangers[c.address], c)
	l.waiting++
	var crowded *Conn
	if l.waiting > l.limits.Strangers {
		crowded = l.connToEvict(c)
		l.forgetConn(crowded)
	}
	l.mu.Unlock()
	if crowded != nil {
		l.dropConn(crowded, ReasonCrowded)
	}
	return c, nil
}

// settled is how long a stranger is left alone that is the only one of its address:
// long enough to prove itself.
const settled = 3 * time.Second

// connToEvict is the stranger that makes room: the oldest of the address that has the
// most. Where each address has one, as when all runtimes come back at once, those
// that came first are let finish; the lock is held.
func (l *Listener) connToEvict(newest *Conn) *Conn {
	var most []*Conn
	for _, open := range l.strangers {
		if len(open) > len(most) || len(open) == len(most) && open[0].accepted.Before(most[0].accepted) {
			most = open
		}
	}
	if len(most) == 1 && newest.accepted.Sub(most[0].accepted) < settled {
		return newest
	}
	return most[0]
}

// busiestConn is the connection with the most requests of the address that has the most;
// the lock is held.
func (l *Listener) busiestConn() *Conn {
	var busiest *Conn
	most := -1
	for _, open := range l.strangers {
		sum, own := 0, open[0]
		for _, c := range open {
			sum += c.visits
			if c.visits > own.visits {
				own = c
			}
		}
		if sum > most {
			most, busiest = sum, own
		}
	}
	return busiest
}

// dropStranger ends the patience with a stranger.
func (c *Conn) dropStranger() {
	c.listener.mu.Lock()
	lost := !c.gone && c.pod == ""
	if lost {
		c.listener.forgetConn(c)
	}
	c.listener.mu.Unlock()
	if lost {
		c.listener.dropConn(c, ReasonSilent)
	}
}

// forgetConn takes a connection out of the books; the lock is held.
func (l *Listener) forgetConn(c *Conn) {
	if c.gone {
		return
	}
	c.gone = true
	c.patience.Stop()
	same := func(other *Conn) bool { return other == c }
	if c.pod == "" {
		l.waiting--
		l.visiting -= c.visits
		c.visits = 0
		if l.strangers[c.address] = slices.DeleteFunc(l.strangers[c.address], same); len(l.strangers[c.address]) == 0 {
			delete(l.strangers, c.address)
		}
		return
	}
	l.known--
	if l.spaces[c.namespace]--; l.spaces[c.namespace] == 0 {
		delete(l.spaces, c.namespace)
	}
	if l.pods[c.pod] = slices.DeleteFunc(l.pods[c.pod], same); len(l.pods[c.pod]) == 0 {
		delete(l.pods, c.pod)
	}
}

// dropConn closes a connection without waiting for the other side.
func (l *Listener) dropConn(c *Conn, reason string) {
	l.dropped(reason)
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		// What is still to be sent is not worth the memory.
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.listener.mu.Lock()
	c.listener.forgetConn(c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

type contextKey struct{}

// Context is for http.Server.ConnContext.
func Context(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, contextKey{}, c)
}

// Prove notes that a call of a pod was accepted on the connection of the context.
// It wraps ErrFull when there are too many such connections already. A context
// without a connection has nothing to note.
func Prove(ctx context.Context, namespace string, pod types.UID) error {
	c, ok := ctx.Value(contextKey{}).(*Conn)
	if !ok {
		return nil
	}
	return c.listener.markProven(c, namespace, pod)
}

func (l *Listener) markProven(c *Conn, namespace string, pod types.UID) error {
	l.mu.Lock()
	if c.gone || c.pod != "" {
		l.mu.Unlock()
		return nil
	}
	var replaced *Conn
	if len(l.pods[pod]) >= l.limits.PerPod {
		replaced = l.pods[pod][0]
		l.forgetConn(replaced)
	}
	if l.known >= l.limits.Known || l.spaces[namespace] >= l.limits.PerNamespace {
		l.mu.Unlock()
		return ErrFull
	}
	// Out of the strangers' books, into the pod's.
	l.forgetConn(c)
	c.gone, c.pod, c.namespace = false, pod, namespace
	l.pods[pod] = append(l.pods[pod], c)
	l.spaces[namespace]++
	l.known++
	l.mu.Unlock()
	if replaced != nil {
		l.dropConn(replaced, ReasonPod)
	}
	return nil
}

// Enter notes that a request on the connection of the context is under way, until
// what it returns is called. When there are too many such requests, the connection
// that has the most is closed: a caller that opens more calls than can be answered
// gets no answer, because that takes memory too. Enter reports false when the
// connection of the context is closed.
func Enter(ctx context.Context) (leave func(), ok bool) {
	c, ok := ctx.Value(contextKey{}).(*Conn)
	if !ok {
		return func() {}, true
	}
	l := c.listener
	l.mu.Lock()
	if c.gone {
		l.mu.Unlock()
		return nil, false
	}
	if owner := (share.Owner{Namespace: c.namespace, Pod: string(c.pod)}); c.pod != "" {
		l.mu.Unlock()
		return l.enterPod(ctx, c, owner)
	}
	c.visits++
	l.visiting++
	var eager *Conn
	if l.visiting > l.limits.Visits {
		eager = l.busiestConn()
		l.forgetConn(eager)
	}
	l.mu.Unlock()
	if eager != nil {
		l.dropConn(eager, ReasonEager)
	}
	return c.endRequest, eager != c
}

// endRequest ends one request of a stranger.
func (c *Conn) endRequest() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	// What was counted of a connection that is closed or proven is forgotten.
	if c.visits > 0 {
		c.visits--
		c.listener.visiting--
	}
}

// enterPod is Enter for a pod's connection.
func (l *Listener) enterPod(ctx context.Context, c *Conn, owner share.Owner) (leave func(), ok bool) {
	held, err := l.calls.Acquire(ctx, owner, 1)
	if err != nil {
		l.mu.Lock()
		l.forgetConn(c)
		l.mu.Unlock()
		l.dropConn(c, ReasonEager)
		return nil, false
	}
	return held.Release, true
}

// DropPod closes the connections of a pod that is gone.
func (l *Listener) DropPod(pod types.UID) {
	l.mu.Lock()
	open := slices.Clone(l.pods[pod])
	for _, c := range open {
		l.forgetConn(c)
	}
	l.mu.Unlock()
	for _, c := range open {
		l.dropConn(c, ReasonPod)
	}
}

// Open returns how many connections are open, of pods and of strangers.
func (l *Listener) Open() (known, strangers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known, l.waiting
}

func remoteHost(address net.Addr) string {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return address.String()
}
