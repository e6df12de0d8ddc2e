// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestTokensThatAreMadeUpDoNotDisplaceThoseOfUsers(t *testing.T) {
	door := NewTokens(TokenOptions{Config: &rest.Config{}, Now: time.Now,
		Connect: func(*rest.Config) (client.WithWatch, error) { return nil, nil }})
	bring := func(token string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		return r
	}
	user := bring("a-user")
	caller, err := door.Identify(user)
	if err != nil {
		t.Fatal(err)
	}
	if door.Recognise(user) != "" {
		t.Error("a token is recognised that the API server has not taken")
	}
	caller.MarkAccepted()
	for i := range 3 * maxClients {
		if _, err := door.Identify(bring(fmt.Sprint("made-up-", i))); err != nil {
			t.Fatal(err)
		}
	}
	if door.Recognise(user) == "" || len(door.callers) > maxClients {
		t.Errorf("the user is forgotten; %d are known", len(door.callers))
	}
}
