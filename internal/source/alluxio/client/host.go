// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

// The windows of a connection, in bytes: with less, a worker waits for permission to
// send more; more is memory that gains nothing.
const (
	frameBytes  = 1 << 20
	windowBytes = 2 << 20
	// maxMessage bounds a message; a page of a listing is far below.
	maxMessage = 32 << 20
	// maxAnswer bounds that of a call with one answer, of which many may be made at a time:
	// the blocks of a file of 1 TiB are far below.
	maxAnswer = 8 << 20
	// maxChunk bounds a message with content: a worker sends ChunkBytes at most.
	maxChunk = 2*wire.ChunkBytes + 64<<10
	// maxHeader bounds headers and trailers, in which errors come.
	maxHeader = 64 << 10
)

// dialer opens connections.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// host is one server: the master or a worker. Calls that share a connection share its
// window, and one that is not read from would hold up the others, so each call has a
// lane of its own.
type host struct {
	address string
	user    string
	dial    dialer

	mu     sync.Mutex
	idle   []*lane
	login  *login
	closed bool
}

// lane is one connection, with one call on it at a time.
type lane struct {
	transport *http.Transport
	base      string
	// used tells that a call was made on it before, so that it may have broken since.
	used bool
}

func newHost(address, user string, dial dialer) *host {
	return &host{address: address, user: user, dial: dial}
}

func (h *host) newLane() *lane {
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return h.dial(ctx, network, h.address)
		},
		MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxReadFrameSize:              frameBytes,
			MaxReceiveBufferPerConnection: windowBytes,
			MaxReceiveBufferPerStream:     windowBytes,
		},
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return &lane{transport: t, base: "http://" + h.address}
}

func (h *host) getLane() *lane {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last := len(h.idle) - 1; last >= 0 {
		l := h.idle[last]
		h.idle = h.idle[:last]
		l.used = true
		return l
	}
	return h.newLane()
}

func (h *host) putLane(l *lane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		l.transport.CloseIdleConnections()
		return
	}
	h.idle = append(h.idle, l)
}

// returnLane takes back a lane on which a call failed; one that broke is not used again.
func (h *host) returnLane(l *lane, err error) {
	if err == nil || connect.IsWireError(err) {
		h.putLane(l)
		return
	}
	l.transport.CloseIdleConnections()
}

// close frees idle connections and ends the login.
func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, l := range h.idle {
		l.transport.CloseIdleConnections()
	}
	h.idle = nil
	if h.login != nil {
		h.login.end()
		h.login = nil
	}
}

// newCall returns a client of one method on a lane. Res is *wire.Chunk where content
// comes, else *wire.Message.
func newCall[Res any](l *lane, method string) *connect.Client[wire.Message, Res] {
	return connect.NewClient[wire.Message, Res](&http.Client{Transport: lengthless{l.transport}}, l.base+method, connect.WithGRPC(),
		connect.WithCodec(wire.Codec{}), connect.WithReadMaxBytes(messageLimit(method)), connect.WithAcceptCompression("gzip", nil, nil))
}

// messageLimit returns how long a message of a method may be: what a server says of its
// length is not to be trusted with the memory of a pod.
func messageLimit(method string) int {
	switch method {
	case wire.ReadBlock:
		return maxChunk
	case wire.ListStatus:
		return maxMessage
	}
	return maxAnswer
}

// lengthless sends requests without saying how long they are. Alluxio's servers answer a
// caller whom they do not know with the headers of the request and no body; with a length
// among them, net/http takes the answer for one that was cut off, and its status is lost.
type lengthless struct{ transport *http.Transport }

func (l lengthless) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength > 0 {
		r = r.WithContext(r.Context())
		r.ContentLength = -1
	}
	return l.transport.RoundTrip(r)
}

// login is the channel that a user signed in on. Its stream stays open: its end ends
// the channel.
type login struct {
	// channel is its id; "" where the server does not ask who calls.
	channel string
	stream  *connect.BidiStreamForClient[wire.Message, wire.Message]
	cancel  context.CancelFunc
	lane    *lane
	// done is closed when the server ended the stream.
	done chan struct{}
}

func (l *login) end() {
	endStream(l.cancel, l.stream)
	<-l.done
	l.lane.transport.CloseIdleConnections()
}

// isOver reports whether the server ended it.
func (l *login) isOver() bool {
	if l.channel == "" {
		return false
	}
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

var errClosed = errors.New("the source is closed")

// signIn returns the id of a channel on which the user is signed in; "" where the
// server does not ask for it.
func (h *host) signIn(ctx context.Context) (string, error) {
	h.mu.Lock()
	known := h.login
	h.mu.Unlock()
	if known != nil && !known.isOver() {
		return known.channel, nil
	}
	fresh, err := h.openLogin(ctx)
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		fresh.end()
		return "", errClosed
	case h.login != nil && !h.login.isOver(): // another call was first
		fresh.end()
	default:
		if h.login != nil {
			h.login.end()
		}
		h.login = fresh
	}
	return h.login.channel, nil
}

// forgetLogin signs in anew with the next call.
func (h *host) forgetLogin(channel string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.login != nil && h.login.channel == channel {
		h.login.end()
		h.login = nil
	}
}

// openLogin signs in on a stream that outlives ctx.
func (h *host) openLogin(ctx context.Context) (*login, error) {
	channel, err := newChannel()
	if err != nil {
		return nil, err
	}
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &login{channel: channel, cancel: cancel, lane: h.newLane(), done: make(chan struct{})}
	stream := newCall[wire.Message](l.lane, wire.Authenticate).CallBidiStream(streamCtx)
	l.stream = stream
	stop := context.AfterFunc(ctx, func() { endStream(cancel, stream) })
	request := wire.SignIn(h.user, channel)
	_ = stream.Send(&request) // its failure is that of the answer
	answer, err := stream.Receive()
	accepted := false
	if err == nil {
		accepted, err = wire.ParseSignIn(*answer)
	}
	if !stop() && err == nil { // the caller is gone
		err = context.Cause(ctx)
	}
	if err == nil && accepted {
		go func() {
			defer close(l.done)
			_, _ = stream.Receive() // the server says no more until the end
			_ = stream.CloseResponse()
		}()
		return l, nil
	}
	endStream(cancel, stream)
	_ = stream.CloseResponse() // the answer is what counts
	close(l.done)
	l.lane.transport.CloseIdleConnections()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil:
		return nil, fmt.Errorf("signing in as %s: %w", h.user, errRefused)
	case connect.CodeOf(err) == connect.CodeUnimplemented:
		l.channel = ""
		return l, nil
	}
	return nil, fmt.Errorf("signing in as %s: %w", h.user, err)
}

// endStream ends a stream of which a read may wait: the transport notices the end of the
// context only between two writes of the request.
func endStream[Res any](cancel context.CancelFunc, stream *connect.BidiStreamForClient[wire.Message, Res]) {
	cancel()
	_ = stream.CloseRequest() // whatever comes of it, it is over
}

// errRefused: the server does not take the user.
var errRefused = errors.New("the server refuses the user")

// newChannel returns a random UUID.
func newChannel() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// channelHeader names the channel of a call.
const channelHeader = "channel-id"

func setChannel(h http.Header, channel string) {
	if channel != "" {
		h.Set(channelHeader, channel)
	}
}

// attempts is how often a call is made: once more where the connection broke while it was
// idle, and once more where a server that was restarted does not know the channel.
const attempts = 3

// mayRepeat reports whether a call that failed on a lane is to be made again at once, and
// makes ready for it.
func (h *host) mayRepeat(ctx context.Context, channel string, l *lane, err error) bool {
	switch {
	case ctx.Err() != nil:
		return false
	case connect.IsWireError(err):
		if connect.CodeOf(err) != connect.CodeUnauthenticated {
			return false
		}
		h.forgetLogin(channel)
		return true
	}
	return l.used
}

// callUnary makes a call whose answer is one message.
func (h *host) callUnary(ctx context.Context, method string, request wire.Message) (wire.Message, error) {
	for attempt := 1; ; attempt++ {
		channel, err := h.signIn(ctx)
		if err != nil {
			return nil, err
		}
		l := h.getLane()
		r := connect.NewRequest(&request)
		setChannel(r.Header(), channel)
		answer, err := newCall[wire.Message](l, method).CallUnary(ctx, r)
		if err == nil {
			h.putLane(l)
			return *answer.Msg, nil
		}
		again := attempt < attempts && h.mayRepeat(ctx, channel, l, err)
		h.returnLane(l, err)
		if !again {
			return nil, err
		}
	}
}
