// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/internal/connlimit"
	"github.com/kuda-io/kuda/internal/fairshare"
)

// Limits of all reviews of a process together.
const (
	// bodyBytes is for what is under way: bodies and answers, whole or in part.
	bodyBytes = 24 << 20
	// requestBytes is what a request takes beside them: its header, and the stack
	// of what works on it.
	requestBytes = 48 << 10
	// A small review is one of nearly every pod.
	smallBody     = 64 << 10
	smallElements = 1 << 10
	// Reviews that are worked on at the same time. Decoded, a small one has up to
	// 2 MiB, a large one up to 17: together with as much that is not collected yet,
	// and what a webhook keeps of the cluster, they fit into its limit of 256 MiB.
	smallPlaces = 16
	largePlaces = 1
	// The API server waits for 3 to 5 seconds. Its body is there at once.
	readTimeout   = 2 * time.Second
	waitTimeout   = 2 * time.Second
	handleTimeout = 5 * time.Second
	// How long a caller may take to receive an answer, or a refusal.
	answerTimeout  = 5 * time.Second
	refusalTimeout = time.Second
	// The first room that a body gets; more when it comes.
	firstBuffer = 4 << 10
)

// Outcomes of a request.
const (
	handled = "handled"
	refused = "refused"
	shed    = "shed"
)

// Gate is the limits that the webhooks of a process share.
type Gate struct {
	bodies       *fairshare.Pool
	small, large *turns
	requests     *prometheus.CounterVec
}

// NewGate makes a gate and registers its metric.
func NewGate(registry prometheus.Registerer) (*Gate, error) {
	g := &Gate{
		bodies: fairshare.NewPool(bodyBytes), small: newTurns(smallPlaces), large: newTurns(largePlaces),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_admission_requests_total",
			Help: "Requests to the webhooks by outcome: handled, refused (not a review, or over a bound), shed (no room at the moment).",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{handled, refused, shed} {
		g.requests.WithLabelValues(outcome)
	}
	if err := registry.Register(g.requests); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return g, nil
}

// Handler serves a webhook's reviews within the bounds.
func (g *Gate) Handler(bounds Bounds, h admission.Handler) http.Handler {
	return &handler{gate: g, bounds: bounds, webhook: &admission.Webhook{Handler: h}}
}

type handler struct {
	gate    *Gate
	bounds  Bounds
	webhook *admission.Webhook
}

// problem is why a request is not handled.
type problem struct {
	code    int
	reason  metav1.StatusReason
	message string
}

func (p *problem) Error() string { return p.message }

// tooManyRequests asks to come again; the API server does so after a second, within the
// webhook's time.
func tooManyRequests(message string) error {
	return &problem{http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, message}
}

func tooLarge(message string) error {
	return &problem{http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, message}
}

func badRequest(message string) error {
	return &problem{http.StatusBadRequest, metav1.StatusReasonBadRequest, message}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	e := newExchange(w, cancel)
	defer e.markDone()
	// Before anything else: also a caller that does not take a refusal costs something.
	grant, ok := h.gate.bodies.Acquire(callerOf(r), requestBytes, e.abort)
	if !ok {
		h.refuseRequest(w, e, tooManyRequests("too many requests are under way; try again"))
		return
	}
	defer grant.Release()
	answer, err := h.processRequest(ctx, e, r, grant)
	if err != nil {
		h.refuseRequest(w, e, err)
		return
	}
	h.gate.requests.WithLabelValues(handled).Inc()
	connlimit.MarkKnown(r.Context())
	e.sendResponse(w, http.StatusOK, answer, answerTimeout)
}

func (h *handler) refuseRequest(w http.ResponseWriter, e *exchange, err error) {
	p := &problem{http.StatusInternalServerError, metav1.StatusReasonInternalError, err.Error()}
	if known := (*problem)(nil); errors.As(err, &known) {
		p = known
	}
	outcome := refused
	if p.code == http.StatusTooManyRequests {
		outcome = shed
		w.Header().Set("Retry-After", "1")
	}
	h.gate.requests.WithLabelValues(outcome).Inc()
	w.Header().Set("Connection", "close") // of HTTP/1: what is left of the body is not read
	// A status of texts and numbers can be encoded.
	status, _ := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Reason: p.reason, Code: int32(p.code), Message: "kuda-webhook: " + p.message,
	})
	e.sendResponse(w, p.code, status, refusalTimeout)
}

// processRequest returns the answer to a request, as it is sent.
func (h *handler) processRequest(ctx context.Context, e *exchange, r *http.Request, grant *fairshare.Grant) ([]byte, error) {
	if err := h.checkHeaders(r); err != nil {
		return nil, err
	}
	body, err := h.readBody(r.Body, grant)
	if err != nil {
		return nil, err
	}
	e.clearReadDeadline()
	elements, err := h.bounds.scanText(body)
	switch {
	case errors.Is(err, errNotJSON):
		return nil, badRequest(err.Error())
	case err != nil:
		return nil, tooLarge(err.Error())
	}
	places := h.gate.small
	if len(body) > smallBody || elements > smallElements {
		places = h.gate.large
	}
	waiting, stop := context.WithTimeout(ctx, waitTimeout)
	defer stop()
	if err := places.waitTurn(waiting, callerOf(r)); err != nil {
		return nil, tooManyRequests("too many reviews are being worked on; try again")
	}
	defer places.releaseTurn()
	answer, err := h.handleReview(ctx, body)
	if err != nil {
		return nil, err
	}
	if !grant.Grow(int64(len(answer))) {
		return nil, tooManyRequests("too many answers are under way; try again")
	}
	return answer, nil
}

func (h *handler) handleReview(ctx context.Context, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, handleTimeout)
	defer cancel()
	review, err := decodeReview(body)
	if err != nil {
		return nil, badRequest("reading the review: " + err.Error())
	}
	if review.Request == nil || review.APIVersion != admissionv1.SchemeGroupVersion.String() {
		return nil, badRequest("the body is not a review of " + admissionv1.SchemeGroupVersion.String())
	}
	response := h.webhook.Handle(ctx, admission.Request{AdmissionRequest: *review.Request})
	answer, err := json.Marshal(&admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: &response.AdmissionResponse})
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	return answer, nil
}

// checkHeaders refuses what is no review by its headers, before its body is read.
func (h *handler) checkHeaders(r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost:
		return &problem{http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "reviews are posted"}
	case err != nil || media != "application/json" || r.Header.Get("Content-Encoding") != "":
		return &problem{http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, "a review is plain application/json"}
	case r.ContentLength > int64(h.bounds.Bytes):
		return tooLarge(h.bounds.overBytes())
	}
	return nil
}

func (b Bounds) overBytes() string {
	return fmt.Sprintf("the object and what comes with it have more than %d KiB", b.Bytes>>10)
}

// readBody reads the body. Room for it is taken while it comes, so that a caller
// that promises much and sends little holds little.
func (h *handler) readBody(r io.Reader, grant *fairshare.Grant) ([]byte, error) {
	var body []byte
	for {
		if len(body) == cap(body) {
			size := min(max(2*cap(body), firstBuffer), h.bounds.Bytes+1)
			if !grant.Grow(int64(size - cap(body))) {
				return nil, tooManyRequests("too many bytes are being read; try again")
			}
			body = append(make([]byte, 0, size), body...)
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > h.bounds.Bytes:
			return nil, tooLarge(h.bounds.overBytes())
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, &problem{http.StatusRequestTimeout, metav1.StatusReasonTimeout, "the body did not come in time"}
		}
	}
}

// callerOf returns the address that the request came from. Connections on which
// reviews were handled before are counted apart: an address may be shared.
func callerOf(r *http.Request) string {
	if connlimit.Known(r.Context()) {
		return "known " + addressOf(r)
	}
	return addressOf(r)
}

func addressOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
