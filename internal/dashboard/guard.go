// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/connlimit"
)

const (
	// maxBody has room for the longest token: who has not signed in may send one, too.
	maxBody = 40 << 10
	// answerTimeout is for reading a request's objects and for writing the answer to a slow
	// client.
	answerTimeout = 2 * time.Minute
)

// policy lets the page load what this server serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// guard refuses what no page of this server sends, before anything is read or asked.
func (s *Server) guard(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer s.logPanic(r)
		s.setHeaders(w)
		api := strings.HasPrefix(r.URL.Path, "/api/")
		switch {
		case !s.isHostAllowed(r.Host):
			s.writeRefusal(w, refusal{http.StatusMisdirectedRequest, "WrongHost", "this server is not reached by that name"})
		case api && !s.allowRequest(r):
			s.writeRefusal(w, refusal{http.StatusTooManyRequests, "TooManyRequests", "too many requests; wait a moment"})
		case origins.Check(r) != nil, api && isFromElsewhere(r):
			s.writeRefusal(w, refusal{http.StatusForbidden, "CrossOrigin", "requests of other sites are refused"})
		case r.Method == http.MethodPost && !isJSON(r):
			s.writeRefusal(w, refusal{http.StatusUnsupportedMediaType, "NotJSON", "send application/json"})
		default:
			// Streams set a limit of their own for each message.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout))
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			connlimit.MarkKnown(r.Context())
			next.ServeHTTP(w, r)
		}
	})
}

// logPanic ends the request of a handler that panicked. net/http would say so where it says
// what strangers send wrong, which is not logged.
func (s *Server) logPanic(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		s.options.Log.Error(nil, "panicked while answering", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(v),
			"stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

// allowRequest reports whether one more request may be answered now. Who has signed in is
// counted by the credentials: behind a proxy, strangers have the same address, and must not
// keep users from their page.
func (s *Server) allowRequest(r *http.Request) bool {
	if digest := s.options.Door.Recognise(r); digest != "" {
		return s.limiter.allowUser(digest)
	}
	return s.limiter.allowAddress(clientAddress(r))
}

type refusal struct {
	status        int
	code, message string
}

func (s *Server) writeRefusal(w http.ResponseWriter, f refusal) {
	s.metrics.refused.WithLabelValues(f.code).Inc()
	writeProblem(w, f.status, f.code, f.message)
}

func (s *Server) setHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if s.options.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// isHostAllowed reports whether the request was sent to a name of this server. A page of
// another site whose name was pointed here sends its own.
func (s *Server) isHostAllowed(host string) bool {
	if len(s.options.Hosts) == 0 {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil && slices.Contains(s.options.Hosts, name) {
		return true
	}
	return slices.Contains(s.options.Hosts, host)
}

// isFromElsewhere reports whether a browser says that another site sent the request, also
// where it changes nothing.
func isFromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
