// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	authenticationv1 "k8s.io/api/authentication/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func good() authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{
		Authenticated: true,
		Audiences:     []string{"kuda.io"},
		User: authenticationv1.UserInfo{
			Username: "system:serviceaccount:shop:default",
			Extra: map[string]authenticationv1.ExtraValue{
				extraPodName: {"web-0"}, extraPodUID: {"u"}, extraNodeName: {"n1"},
			},
		},
	}
}

func TestPromise9ATokenThatProvesNoPodIsAccepted(t *testing.T) {
	p, err := FromReview(good())
	if want := (Pod{"shop", "web-0", "u", "n1"}); err != nil || p != want {
		t.Fatalf("FromReview = %+v, %v, want %+v", p, err, want)
	}
	for name, spoil := range map[string]func(*authenticationv1.TokenReviewStatus){
		"not authenticated":      func(s *authenticationv1.TokenReviewStatus) { s.Authenticated = false },
		"another audience":       func(s *authenticationv1.TokenReviewStatus) { s.Audiences = []string{"other"} },
		"no audience":            func(s *authenticationv1.TokenReviewStatus) { s.Audiences = nil },
		"a person":               func(s *authenticationv1.TokenReviewStatus) { s.User.Username = "alice" },
		"a person's odd name":    func(s *authenticationv1.TokenReviewStatus) { s.User.Username = "shop:default" },
		"no namespace":           func(s *authenticationv1.TokenReviewStatus) { s.User.Username = "system:serviceaccount::default" },
		"not bound to a pod":     func(s *authenticationv1.TokenReviewStatus) { s.User.Extra = nil },
		"no UID":                 func(s *authenticationv1.TokenReviewStatus) { delete(s.User.Extra, extraPodUID) },
		"two UIDs":               func(s *authenticationv1.TokenReviewStatus) { s.User.Extra[extraPodUID] = []string{"u", "v"} },
		"pod name without value": func(s *authenticationv1.TokenReviewStatus) { s.User.Extra[extraPodName] = []string{""} },
	} {
		status := good()
		spoil(&status)
		if p, err := FromReview(status); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v, want a refusal", name, p, err)
		}
	}
}

// server answers TokenReviews.
type server struct {
	status authenticationv1.TokenReviewStatus
	err    error
	asked  int
}

func (s *server) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	s.asked++
	object.(*authenticationv1.TokenReview).Status = s.status
	return s.err
}

func TestARevokedTokenIsBelievedForLongerThanAMinute(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Unix(1000, 0))
	s := &server{status: good()}
	a := NewAuthenticator(s, now, func(Outcome) {})
	for range 3 {
		if _, err := a.Authenticate(t.Context(), "token"); err != nil {
			t.Fatal(err)
		}
	}
	if s.asked != 1 {
		t.Errorf("asked %d times for one token", s.asked)
	}
	s.status.Authenticated = false
	now.Step(rememberGood + time.Second)
	if _, err := a.Authenticate(t.Context(), "token"); !errors.Is(err, ErrRefused) {
		t.Errorf("a revoked token: %v, want a refusal", err)
	}
	if _, err := a.Authenticate(t.Context(), "other"); !errors.Is(err, ErrRefused) {
		t.Errorf("another token: %v, want a refusal", err)
	}
}

func TestAnAPIServerThatIsAwayLooksLikeABadToken(t *testing.T) {
	s := &server{err: errors.New("connection refused")}
	var seen []Outcome
	a := NewAuthenticator(s, clocktesting.NewFakeClock(time.Unix(1000, 0)), func(o Outcome) { seen = append(seen, o) })
	i := &interceptor{authenticate: a.Authenticate}
	header := http.Header{"Authorization": {"Bearer token"}}
	if _, err := i.identify(t.Context(), header); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("code = %v, want Unavailable so that the runtime tries again", connect.CodeOf(err))
	}
	s.err, s.status = nil, good()
	ctx, err := i.identify(t.Context(), header)
	if err != nil {
		t.Fatalf("the failure was remembered: %v", err)
	}
	if p, ok := From(ctx); !ok || p.Name != "web-0" {
		t.Errorf("From = %+v, %v", p, ok)
	}
	if len(seen) != 2 || seen[0] != Failed || seen[1] != Accepted {
		t.Errorf("outcomes = %v", seen)
	}
}

func TestACallWithoutATokenReachesAHandler(t *testing.T) {
	s := &server{status: good()}
	i := &interceptor{authenticate: NewAuthenticator(s, clocktesting.NewFakeClock(time.Unix(1000, 0)), func(Outcome) {}).Authenticate}
	for _, value := range []string{"", "Bearer", "Bearer ", "Basic dXNlcg==", "token"} {
		if _, err := i.identify(t.Context(), http.Header{"Authorization": {value}}); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%q: %v, want Unauthenticated", value, err)
		}
	}
	if s.asked != 0 {
		t.Errorf("asked the API server %d times about nothing", s.asked)
	}
}
