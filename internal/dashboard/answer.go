// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/dashboard/session"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/insight/status"
	"github.com/kuda-io/kuda/internal/insight/steer"
)

// gzipAbove is from how many bytes on an answer is worth compressing.
const gzipAbove = 1400

// writeProblem writes an answer that is not the wanted one.
func writeProblem(w http.ResponseWriter, code int, word, message string) {
	body, err := json.Marshal(contract.Problem{Code: word, Message: message})
	if err != nil {
		http.Error(w, word, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// writeAnswer writes a value as JSON.
func writeAnswer(w http.ResponseWriter, r *http.Request, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		writeProblem(w, http.StatusInternalServerError, "InternalError", "writing the answer: "+err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding, Cookie")
	if len(body) > gzipAbove && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(body)
		_ = z.Close() // a client that is gone is not told
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func acceptsGzip(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
}

// badRequest is the error of a request that makes no sense.
type badRequest struct{ message string }

func (e *badRequest) Error() string { return e.message }

// conflict is the error of a change of something that is not as the user saw it.
type conflict struct{ code, message string }

func (e *conflict) Error() string { return e.message }

// explainError returns the status, the word and the message of an error's answer.
func explainError(err error) (status int, code, message string) {
	message = err.Error()
	for _, kind := range []func(error) (int, string, bool){explainSession, explainSteering, explainAPI} {
		if status, code, ok := kind(err); ok {
			return status, code, message
		}
	}
	var largeBody *http.MaxBytesError
	switch {
	case errors.As(err, &largeBody):
		return http.StatusRequestEntityTooLarge, "TooLarge", message
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "Timeout", "the API server did not answer in time"
	}
	return http.StatusBadGateway, "Unreachable", message
}

func explainSession(err error) (int, string, bool) {
	switch {
	case errors.Is(err, session.ErrNone):
		return http.StatusUnauthorized, "NotSignedIn", true
	case errors.Is(err, session.ErrExpired):
		return http.StatusUnauthorized, "Expired", true
	case errors.Is(err, session.ErrSecret):
		return http.StatusForbidden, "WrongSecret", true
	case errors.Is(err, session.ErrPlain):
		return http.StatusForbidden, "PlainHTTP", true
	case errors.Is(err, session.ErrToken):
		return http.StatusBadRequest, "NoToken", true
	}
	return 0, "", false
}

func explainSteering(err error) (int, string, bool) {
	if r, ok := errors.AsType[*steer.Refusal](err); ok {
		return http.StatusConflict, string(r.Code), true
	}
	if c, ok := errors.AsType[*conflict](err); ok {
		return http.StatusConflict, c.code, true
	}
	if _, ok := errors.AsType[*badRequest](err); ok {
		return http.StatusBadRequest, "BadRequest", true
	}
	if errors.Is(err, steer.ErrUnheard) {
		return http.StatusGatewayTimeout, "Unheard", true
	}
	if errors.Is(err, status.ErrDeleted) {
		return http.StatusNotFound, "NotFound", true
	}
	return 0, "", false
}

func explainAPI(err error) (int, string, bool) {
	if _, ok := errors.AsType[*nodes.ForbiddenError](err); ok {
		return http.StatusForbidden, "NodesForbidden", true
	}
	switch {
	case meta.IsNoMatchError(err):
		return http.StatusNotFound, "NotInstalled", true
	case apierrors.IsUnauthorized(err):
		return http.StatusUnauthorized, "Unauthorized", true
	case apierrors.IsForbidden(err):
		return http.StatusForbidden, "Forbidden", true
	case apierrors.IsNotFound(err):
		return http.StatusNotFound, "NotFound", true
	case apierrors.IsConflict(err):
		return http.StatusConflict, "Conflict", true
	}
	if s := apierrors.APIStatus(nil); errors.As(err, &s) && s.Status().Code >= http.StatusBadRequest {
		return int(s.Status().Code), "APIServer", true
	}
	return 0, "", false
}
