// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"errors"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
)

func goodStatus() authenticationv1.TokenReviewStatus {
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

func TestPromise9ATokenThatProvesNoPodIsRefused(t *testing.T) {
	p, err := FromReview(goodStatus())
	if want := (Pod{Namespace: "shop", Name: "web-0", UID: "u", Node: "n1", Account: "default"}); err != nil || p != want {
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
		status := goodStatus()
		spoil(&status)
		if p, err := FromReview(status); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v, want a refusal", name, p, err)
		}
	}
}
