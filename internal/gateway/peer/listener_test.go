// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/gateway/share"
)

// source hands out connections from addresses.
type source struct{ next chan net.Conn }

func (s *source) Accept() (net.Conn, error) { return <-s.next, nil }
func (s *source) Close() error              { return nil }
func (s *source) Addr() net.Addr            { return &net.TCPAddr{} }

type fakeConn struct {
	net.Conn
	from net.IP
}

func (c *fakeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: c.from, Port: 1} }

type bench struct {
	*Listener
	source *source
	mu     sync.Mutex
	drops  map[string]int
}

func newBench(l Limits) *bench {
	l.Visits = 6
	l.Calls = share.Limits{Total: 20, PerPod: 10, PerNamespace: 20}
	b := &bench{source: &source{next: make(chan net.Conn, 1)}, drops: make(map[string]int)}
	b.Listener = Limit(b.source, l, func(reason string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.drops[reason]++
	})
	return b
}

func (b *bench) countDropped(reason string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drops[reason]
}

// connectFrom opens a connection from 10.0.0.<from>.
func (b *bench) connectFrom(t *testing.T, from byte) (server *Conn, closed func() bool) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _ = far.Close() })
	b.source.next <- &fakeConn{Conn: near, from: net.IPv4(10, 0, 0, from)}
	c, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*Conn), func() bool {
		_ = far.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := far.Read(make([]byte, 1))
		var timeout net.Error
		return !errors.As(err, &timeout) || !timeout.Timeout()
	}
}

func provePod(t *testing.T, c *Conn, pod string) {
	t.Helper()
	if err := Prove(Context(context.Background(), c), "shop", types.UID(pod)); err != nil {
		t.Fatal(err)
	}
}

func TestAFloodOfStrangersDrivesOutItself(t *testing.T) {
	b := newBench(Limits{Strangers: 20, Patience: time.Minute, Known: 100, PerPod: 2, PerNamespace: 100})
	pod, podClosed := b.connectFrom(t, 9)
	provePod(t, pod, "web-0")
	_, newcomerClosed := b.connectFrom(t, 1)
	for range 200 {
		b.connectFrom(t, 66)
	}
	if podClosed() {
		t.Error("the connection of a pod was closed")
	}
	if newcomerClosed() {
		t.Error("another address had to make room")
	}
	if known, strangers := b.Open(); known != 1 || strangers != 20 {
		t.Errorf("%d known, %d strangers", known, strangers)
	}
	if got := b.countDropped(ReasonCrowded); got != 181 {
		t.Errorf("%d strangers made room, want 181", got)
	}
}

func TestAStrangerThatProvesNothingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Limits{Strangers: 20, Patience: 10 * time.Second, Known: 100, PerPod: 2, PerNamespace: 100})
		silent, _ := b.connectFrom(t, 1)
		good, _ := b.connectFrom(t, 1)
		provePod(t, good, "web-0")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if known, strangers := b.Open(); known != 1 || strangers != 0 || b.countDropped(ReasonSilent) != 1 {
			t.Errorf("%d known, %d strangers, %d dropped", known, strangers, b.countDropped(ReasonSilent))
		}
		if err := Prove(Context(context.Background(), silent), "shop", "late"); err != nil {
			t.Errorf("a call on a connection that is closed: %v", err)
		}
		if known, _ := b.Open(); known != 1 {
			t.Error("a closed connection is counted")
		}
	})
}

func TestAPodKeepsItsNewestConnections(t *testing.T) {
	b := newBench(Limits{Strangers: 20, Patience: time.Minute, Known: 4, PerPod: 2, PerNamespace: 3})
	first, firstClosed := b.connectFrom(t, 1)
	provePod(t, first, "hog")
	for range 5 {
		c, _ := b.connectFrom(t, 1)
		provePod(t, c, "hog")
	}
	if known, _ := b.Open(); known != 2 || !firstClosed() {
		t.Errorf("%d connections of one pod; the first is closed: %v", known, firstClosed())
	}
	third, _ := b.connectFrom(t, 1)
	provePod(t, third, "web-0")
	over, _ := b.connectFrom(t, 1)
	if err := Prove(Context(context.Background(), over), "shop", "web-1"); !errors.Is(err, ErrFull) {
		t.Errorf("a connection beyond the namespace's share: %v", err)
	}
	b.DropPod("hog")
	b.DropPod("nothing")
	if known, _ := b.Open(); known != 1 {
		t.Errorf("%d connections after the pod went", known)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	if known, _ := b.Open(); known != 0 || len(b.pods) != 0 || len(b.spaces) != 0 {
		t.Errorf("%d connections after all were closed", known)
	}
}

func TestTheConnectionWithTheMostRequestsIsClosed(t *testing.T) {
	b := newBench(Limits{Strangers: 20, Patience: time.Minute, Known: 4, PerPod: 2, PerNamespace: 3})
	enter := func(c *Conn) (func(), bool) { return Enter(Context(context.Background(), c)) }
	eager, eagerClosed := b.connectFrom(t, 1)
	second, secondClosed := b.connectFrom(t, 1)
	var leave []func()
	for n := range 6 {
		c := eager
		if n > 3 {
			c = second
		}
		l, ok := enter(c)
		if !ok {
			t.Fatal("six requests are too many")
		}
		leave = append(leave, l)
	}
	newcomer, newcomerClosed := b.connectFrom(t, 2)
	if _, ok := enter(newcomer); !ok || newcomerClosed() || secondClosed() || !eagerClosed() || b.countDropped(ReasonEager) != 1 {
		t.Error("another connection than the one with the most requests made room")
	}
	if _, ok := enter(eager); ok {
		t.Error("a request on a closed connection is taken")
	}
	for _, l := range leave {
		l()
	}
	if b.visiting != 1 {
		t.Errorf("%d requests are counted, want 1", b.visiting)
	}
	for range 5 {
		if _, ok := enter(newcomer); !ok {
			t.Fatal("requests that ended are counted")
		}
	}
	if _, ok := enter(newcomer); ok || !newcomerClosed() || b.visiting != 0 {
		t.Error("a stranger may have more than six requests")
	}
	pod, podClosed := b.connectFrom(t, 1)
	provePod(t, pod, "web-0")
	for range 10 {
		if _, ok := enter(pod); !ok {
			t.Fatal("a pod is kept out")
		}
	}
	if _, ok := enter(pod); ok || !podClosed() {
		t.Error("a pod may have more than its share")
	}
}

func TestRuntimesThatComeBackAtOnceAreServedInTurn(t *testing.T) {
	b := newBench(Limits{Strangers: 20, Patience: time.Minute, Known: 100, PerPod: 2, PerNamespace: 100})
	var closed []func() bool
	for n := range 30 {
		_, c := b.connectFrom(t, byte(n))
		closed = append(closed, c)
	}
	for n, is := range closed {
		if is() != (n >= 20) {
			t.Errorf("connection %d is closed: %v", n, n < 20)
		}
	}
}

func TestLimitsHoldWhileManyConnectAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := Limit(l, Limits{Strangers: 8, Patience: time.Minute, Known: 8, PerPod: 2, PerNamespace: 8}, func(string) {})
	t.Cleanup(func() { _ = limited.Close() })
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := range 50 {
				c, err := net.Dial("tcp", l.Addr().String())
				if errors.Is(err, syscall.ECONNRESET) {
					continue // accepted and dropped before the dial returned
				}
				if err != nil {
					t.Error(err)
					_ = limited.Close() // else the others wait for this connection
					return
				}
				if i%2 == 0 {
					_ = c.Close()
				}
			}
		})
		group.Go(func() {
			for i := range 50 {
				c, err := limited.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				_ = Prove(Context(context.Background(), c), "shop", types.UID(fmt.Sprint(n, i%7)))
			}
		})
	}
	group.Wait()
	if known, strangers := limited.Open(); known > 8 || strangers > 8 {
		t.Errorf("%d known, %d strangers", known, strangers)
	}
}
