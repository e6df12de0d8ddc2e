// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/gateway/bounds"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/share"
)

// Procedure is one that may be called.
type Procedure struct {
	// Message is the request's.
	Message protoreflect.MessageDescriptor
	// MaxBytes bounds the request as it is sent, and again when it is unpacked.
	MaxBytes int64
	// Stream says that the response is a stream.
	Stream bool
	// Timeout bounds the handler; a stream has none.
	Timeout time.Duration
	// Keeper says that only the keeper of a node may call; without it the keeper may not.
	Keeper bool
	// NodeStore says that only pods may call whose store is the node's.
	NodeStore bool
	// Allow reports whether the pod may call now.
	Allow func(pod types.UID) bool
	// Calls is what each call takes one of, for as long as it lasts.
	Calls *share.Pool
}

// Options of a Door; all are required.
type Options struct {
	// Procedures by their path.
	Procedures map[string]Procedure
	// Bounds of the messages.
	Bounds bounds.Table
	// Authenticate finds the pod of a token that came from an address. Admit
	// completes it, or refuses one that may not call.
	Authenticate func(ctx context.Context, token, address string) (identity.Pod, error)
	Admit        func(context.Context, identity.Pod) (identity.Pod, error)
	// Enter notes that a request is under way until what it returns is called; false:
	// there are too many, and the connection is closed.
	Enter func(context.Context) (leave func(), ok bool)
	// Accepted is told that the caller of this context may call.
	Accepted func(context.Context, identity.Pod) error
	// Volume is what pods may send over time.
	Volume Volume
	// Decoding is the memory for requests, in bytes.
	Decoding *share.Pool
	// BodyTimeout bounds how long a body may take to come, MessageTimeout how long
	// the caller may take to receive one message.
	BodyTimeout, MessageTimeout time.Duration
	// Refused is told of every refusal.
	Refused func(Refusal)
}

// Volume bounds the bytes of messages over time: unpacking and unmarshalling them
// is work.
type Volume interface {
	// Left reports whether the pod may send more now.
	Left(identity.Pod) bool
	// Spend notes bytes that the pod has sent.
	Spend(identity.Pod, int)
}

// Door is an http.Handler.
type Door struct {
	options Options
	next    http.Handler
	errors  *connect.ErrorWriter
}

// New puts a door in front of a connect handler.
func New(o Options, next http.Handler) *Door {
	return &Door{options: o, next: next, errors: connect.NewErrorWriter()}
}

// ServeHTTP lets a request through or refuses it.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	leave, ok := d.options.Enter(r.Context())
	if !ok {
		d.reportRefusal(r, nil, reasonEager, nil)
		return
	}
	defer leave()
	// What the caller does not take holds this request, which is counted until then.
	defer func() { _ = control.Flush() }()
	// For refusals. A caller that does not read its answer holds nothing for long.
	_ = control.SetWriteDeadline(time.Now().Add(admitTimeout + d.options.MessageTimeout))
	p, ok := d.options.Procedures[r.URL.Path]
	if !ok {
		d.reportRefusal(r, nil, reasonProcedure, nil)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	f := framingOf(r, p.Stream)
	if f == nil {
		d.reportRefusal(r, nil, reasonProtocol, nil)
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Accept-Post", acceptPost(p.Stream))
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	caller, held, err := d.admitCaller(r, p)
	if err != nil {
		d.refuseRequest(w, r, caller, err)
		return
	}
	defer held.Release()
	message, room, err := d.readMessage(control, r, p, f, caller)
	if err != nil {
		d.refuseRequest(w, r, caller, err)
		return
	}
	defer room.Release()
	ctx := identity.Into(r.Context(), caller)
	if p.Stream {
		room.Release()
		_ = control.SetWriteDeadline(time.Time{})
		w = &pacedWriter{ResponseWriter: w, control: control, timeout: d.options.MessageTimeout}
	} else {
		_ = control.SetWriteDeadline(time.Now().Add(p.Timeout + d.options.MessageTimeout))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Timeout)
		defer cancel()
	}
	d.next.ServeHTTP(w, decompressedRequest(r.WithContext(ctx), f, message))
}

// admitTimeout is above what authenticating takes at most.
const admitTimeout = 30 * time.Second

// admitCaller takes the steps that need the header only.
func (d *Door) admitCaller(r *http.Request, p Procedure) (identity.Pod, *share.Held, error) {
	ctx, cancel := context.WithTimeout(r.Context(), admitTimeout)
	defer cancel()
	caller, err := d.options.Authenticate(ctx, identity.Token(r.Header), remoteHost(r))
	if err != nil {
		return caller, nil, err
	}
	if caller, err = d.options.Admit(ctx, caller); err != nil {
		return caller, nil, err
	}
	switch {
	case p.Keeper != caller.Keeper:
		return caller, nil, errNotKeeper
	case p.NodeStore && !caller.NodeStore:
		return caller, nil, errOwnStore
	}
	if err := d.options.Accepted(r.Context(), caller); err != nil {
		return caller, nil, err
	}
	if !p.Allow(caller.UID) || !d.options.Volume.Left(caller) {
		return caller, nil, errTooMany
	}
	held, err := p.Calls.Acquire(ctx, Owner(caller), 1)
	return caller, held, err
}

// readMessage takes the message from the body. What it returns beside that is the memory
// that the message may take, which is the caller's to release.
func (d *Door) readMessage(control *http.ResponseController, r *http.Request, p Procedure, f *framing, caller identity.Pod) ([]byte,
	*share.Held, error) {
	packed, err := f.isCompressed(r.Header)
	if err != nil {
		return nil, nil, err
	}
	need := p.MaxBytes
	if r.ContentLength >= 0 {
		if need = r.ContentLength; need > p.MaxBytes+prefixLength {
			return nil, nil, tooLarge(p.MaxBytes)
		}
	}
	if packed {
		need += p.MaxBytes
	}
	wait, cancel := context.WithTimeout(r.Context(), d.options.BodyTimeout)
	defer cancel()
	room, err := d.options.Decoding.Acquire(wait, Owner(caller), need+overhead)
	if err != nil {
		return nil, nil, err
	}
	_ = control.SetReadDeadline(time.Now().Add(d.options.BodyTimeout))
	message, err := f.readBody(r.Body, packed, p.MaxBytes)
	d.options.Volume.Spend(caller, bodyCost(len(message), err, p.MaxBytes))
	if err == nil {
		err = d.options.Bounds.Check(p.Message, message)
	}
	if err != nil {
		room.Release()
		return nil, nil, err
	}
	_ = control.SetReadDeadline(time.Time{})
	room.Shrink(unmarshalled*int64(len(message)) + overhead)
	return message, room, nil
}

// bodyCost is what a body costs. One that is no message may have been unpacked up to
// the limit.
func bodyCost(length int, err error, most int64) int {
	if err != nil {
		return int(most)
	}
	return length
}

const (
	// unmarshalled is how many bytes one byte of a message is in memory, with the
	// message itself: what Bounds allows is mostly text.
	unmarshalled = 4
	// overhead is what a call takes however short its message is, in bytes.
	overhead = 4 << 10
)

// Owner is a pod as the owner of shares.
func Owner(p identity.Pod) share.Owner {
	return share.Owner{Namespace: p.Namespace, Pod: string(p.UID)}
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// decompressedRequest is the request with its message unpacked.
func decompressedRequest(r *http.Request, f *framing, message []byte) *http.Request {
	r.Header = r.Header.Clone()
	r.Header.Del(f.encoding)
	body := io.Reader(bytes.NewReader(message))
	r.ContentLength = int64(len(message))
	if f.enveloped {
		body = io.MultiReader(bytes.NewReader(envelopePrefix(len(message))), body)
		r.ContentLength += prefixLength
	}
	r.Body = io.NopCloser(body)
	return r
}

// pacedWriter gives each message of a stream its own time to be received.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	return w.ResponseWriter.Write(p)
}

// Flush sends what was written. Between messages there is no deadline.
func (w *pacedWriter) Flush() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	_ = w.control.Flush()
	_ = w.control.SetWriteDeadline(time.Time{})
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
