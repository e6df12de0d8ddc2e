// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/dashboard/live"
	"github.com/kuda-io/kuda/internal/dashboard/session"
)

const (
	heartbeat = 15 * time.Second
	// sendTimeout is how long a browser may take to read one message.
	sendTimeout = 30 * time.Second
)

// streams counts those that are open, by user.
type streams struct {
	limits Limits
	mu     sync.Mutex
	open   map[string]int
	all    int
}

func newStreams(l Limits) *streams { return &streams{limits: l, open: map[string]int{}} }

// beginStream reports whether the user may open one more; endStream gives it back.
func (s *streams) beginStream(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[user] >= s.limits.Streams || s.all >= s.limits.AllStreams {
		return false
	}
	s.open[user]++
	s.all++
	return true
}

func (s *streams) endStream(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.open[user]--; s.open[user] <= 0 {
		delete(s.open, user)
	}
}

// stream sends the scene of a DataSet whenever it changes, as server-sent events. It ends
// after a while; the page opens the next one, and so proves itself again.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	caller, err := s.options.Door.Identify(r)
	if err != nil {
		s.writeFailure(w, r, err)
		return
	}
	a := ask{Request: r, caller: caller}
	d := &v1alpha1.DataSet{}
	key := types.NamespacedName{Namespace: r.FormValue("namespace"), Name: r.FormValue("name")}
	if err := readWithin(r.Context(), caller.Client, key, d); err != nil {
		s.writeFailure(w, r, err)
		return
	}
	caller.MarkAccepted()
	if !s.streams.beginStream(caller.Digest) {
		s.writeRefusal(w, refusal{http.StatusTooManyRequests, "TooManyStreams", "too many pages are open; close some"})
		return
	}
	defer s.streams.endStream(caller.Digest)
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	look := s.hub.Subscribe(caller.Client, live.Key{Credentials: caller.Digest, Namespace: d.Namespace, Name: d.Name}, d)
	defer look.Close()
	s.send(newSender(w, r), a, look)
}

// readWithin reads an object in the time of an answer: the stream itself has more.
func readWithin(ctx context.Context, c client.Client, key types.NamespacedName, o client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return c.Get(ctx, key, o)
}

// lifeOf returns how long a stream of the caller may last: no longer than the credentials.
func (s *Server) lifeOf(c *session.Caller) time.Duration {
	life := s.options.Limits.StreamLife
	if c.Until.IsZero() {
		return life
	}
	return min(life, c.Until.Sub(s.options.Now()))
}

// send sends pictures until the client, the DataSet or the time ends.
func (s *Server) send(to *sender, a ask, look *live.Subscription) {
	defer to.close()
	life := time.NewTimer(s.lifeOf(a.caller))
	defer life.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var sent []byte
	for {
		picture, fresh := look.Latest()
		if picture != nil && picture.Err != nil {
			_, code, message := explainError(picture.Err)
			_ = to.sendEvent("end", contract.Problem{Code: code, Message: message})
			return
		}
		if picture != nil {
			body, err := json.Marshal(live.BuildScene(picture, a.query(), sayButton))
			if err != nil || !bytes.Equal(body, sent) && to.sendRaw("scene", body) != nil {
				return
			}
			sent = body
		}
		select {
		case <-a.Context().Done():
			return
		case <-s.ending:
			return
		case <-life.C:
			_ = to.sendEvent("again", struct{}{})
			return
		case <-beat.C:
			if to.sendRaw("", nil) != nil {
				return
			}
		case <-fresh:
		}
	}
}

// sender writes events, compressed where the browser takes that.
type sender struct {
	control *http.ResponseController
	out     io.Writer
	zip     *gzip.Writer
}

func newSender(w http.ResponseWriter, r *http.Request) *sender {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s := &sender{control: http.NewResponseController(w), out: w}
	// The server's limit for reading a request is not one for a stream.
	_ = s.control.SetReadDeadline(time.Time{})
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		s.zip = gzip.NewWriter(w)
		s.out = s.zip
	}
	return s
}

func (s *sender) sendEvent(name string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.sendRaw(name, body)
}

// sendRaw sends one event; without a name it is a comment that keeps the connection open.
func (s *sender) sendRaw(name string, body []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(sendTimeout))
	text := ":\n\n"
	if name != "" {
		text = "event: " + name + "\ndata: " + string(body) + "\n\n"
	}
	if _, err := io.WriteString(s.out, text); err != nil {
		return err
	}
	if s.zip != nil {
		if err := s.zip.Flush(); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

func (s *sender) close() {
	if s.zip != nil {
		_ = s.zip.Close() // a client that is gone is not told
	}
}
