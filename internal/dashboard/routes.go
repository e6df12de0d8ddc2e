// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/dashboard/session"
)

// readTimeout is for one answer, which may need many reads.
const readTimeout = 45 * time.Second

// ask is a request of a caller that is known.
type ask struct {
	*http.Request
	caller *session.Caller
}

// number returns a query parameter that is a number, or 0.
func (a ask) number(name string) int {
	n, err := strconv.Atoi(a.FormValue(name))
	if err != nil {
		return 0
	}
	return n
}

// answer returns what an ask is answered with.
type answer func(ctx context.Context, a ask) (any, error)

func (s *Server) addRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/session", s.signIn)
	mux.HandleFunc("DELETE /api/v1/session", s.signOut)
	mux.HandleFunc("GET /api/v1/watch", s.stream)
	for pattern, answer := range map[string]answer{
		"GET /api/v1/me":                                        s.me,
		"GET /api/v1/access":                                    readAccess,
		"GET /api/v1/datasets":                                  s.dataSets,
		"GET /api/v1/datasets/{namespace}/{name}":               s.scene,
		"GET /api/v1/datasets/{namespace}/{name}/history":       readHistory,
		"GET /api/v1/datasets/{namespace}/{name}/revisions/{n}": readTemplate,
		"GET /api/v1/datasets/{namespace}/{name}/events":        listEvents,
		"GET /api/v1/datasets/{namespace}/{name}/doctor":        s.doctorDataSet,
		"GET /api/v1/datasets/{namespace}/{name}/yaml":          readYAML,
		"GET /api/v1/pods/{namespace}/{name}":                   s.pod,
		"GET /api/v1/pods/{namespace}/{name}/why":               s.why,
		"GET /api/v1/nodes":                                     readNodes,
		"GET /api/v1/doctor":                                    s.doctor,
		"POST /api/v1/datasets/{namespace}/{name}/{verb}":       steerRollout,
	} {
		mux.Handle(pattern, s.answering(answer))
	}
	mux.Handle("GET /api/v1/datasets/{namespace}/{name}/diff", s.inTurn(s.answering(compareRevisions)))
	mux.Handle("GET /api/v1/pods/{namespace}/{name}/files", s.inTurn(s.answering(listFiles)))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "NoSuchPath", "the API has no such path, or not for this method")
	})
}

// inTurn has a few requests at a time, from the question to the last byte of the answer:
// pods are asked, which may answer much.
func (s *Server) inTurn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		patience := time.NewTimer(readTimeout / 2)
		defer patience.Stop()
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
			next.ServeHTTP(w, r)
		case <-patience.C:
			s.writeRefusal(w, refusal{http.StatusServiceUnavailable, "Busy", "others are asking pods, too; try again in a moment"})
		case <-r.Context().Done():
		}
	})
}

// answering makes a handler of an answer.
func (s *Server) answering(next answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.options.Door.Identify(r)
		if err != nil {
			s.writeFailure(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		value, err := next(ctx, ask{Request: r, caller: caller})
		if err != nil {
			s.writeFailure(w, r, err)
			return
		}
		caller.MarkAccepted()
		s.metrics.requests.WithLabelValues("2xx").Inc()
		writeAnswer(w, r, value)
	})
}

// writeFailure replies with an error. Who is not known any more loses the cookie; but on
// the user's own machine it is the kubeconfig that the API server refuses, and the cookie,
// which there is but once, is as good as before.
func (s *Server) writeFailure(w http.ResponseWriter, r *http.Request, err error) {
	status, code, message := explainError(err)
	switch {
	case status == http.StatusUnauthorized && s.options.Door.Mode() == contract.ModeCluster:
		s.options.Door.SignOut(w, r)
	case apierrors.IsUnauthorized(err):
		status = http.StatusBadGateway
		message += "; sign in to the cluster again, as for kubectl"
	}
	s.metrics.requests.WithLabelValues(strconv.Itoa(status/100) + "xx").Inc()
	writeProblem(w, status, code, message)
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	var brought contract.SignIn
	if err := readBody(r, &brought); err != nil {
		s.writeFailure(w, r, err)
		return
	}
	if err := s.options.Door.SignIn(w, r, brought); err != nil {
		s.metrics.refused.WithLabelValues("SignIn").Inc()
		s.writeFailure(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	s.options.Door.SignOut(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// readBody reads a request's JSON; fields that are not known are refused.
func readBody(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	var tooLarge *http.MaxBytesError
	if err := decoder.Decode(into); errors.As(err, &tooLarge) {
		return err
	} else if err != nil {
		return &badRequest{"the body cannot be read: " + err.Error()}
	}
	return nil
}
