// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/dashboard/contract"
)

// Errors of a request or a sign-in.
var (
	// ErrNone: the request brings no session.
	ErrNone = errors.New("sign in first")
	// ErrExpired: its token is no longer valid.
	ErrExpired = errors.New("the token has expired; sign in again")
	// ErrSecret: the secret is wrong, or was used before.
	ErrSecret = errors.New("this address was used before, or is not the one that was printed; run kubectl kuda dashboard again")
	// ErrPlain: a token came over a connection that others can read.
	ErrPlain = errors.New("tokens are taken over HTTPS only")
	// ErrToken: what came is not a token.
	ErrToken = errors.New("this is not a token; kubectl create token NAME prints one")
)

// Caller is who asks, with what acts as them.
type Caller struct {
	Client client.WithWatch
	Config *rest.Config
	// Digest of the credentials: what is kept for one caller is found by it.
	Digest string
	// Until is when the credentials end, as they say themselves; zero where they do not.
	Until time.Time
	// Cluster and Namespace that the caller begins with.
	Cluster, Namespace string

	accepted atomic.Bool
}

// MarkAccepted notes that the API server took the credentials.
func (c *Caller) MarkAccepted() { c.accepted.Store(true) }

// Door finds out who a request is from.
type Door interface {
	Mode() contract.Mode
	// Identify returns the caller, or one of the errors above.
	Identify(r *http.Request) (*Caller, error)
	// Recognise returns the digest of credentials that the API server took lately, or "".
	Recognise(r *http.Request) string
	// SignIn takes what the page brings, and sets cookies.
	SignIn(w http.ResponseWriter, r *http.Request, brought contract.SignIn) error
	// SignOut takes the cookies back.
	SignOut(w http.ResponseWriter, r *http.Request)
}

func digestOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
