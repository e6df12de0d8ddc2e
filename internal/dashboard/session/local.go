// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strconv"
	"sync"

	"github.com/kuda-io/kuda/internal/dashboard/contract"
)

// Local is the door of a server that acts as the user who started it.
type Local struct {
	caller *Caller
	cookie string
	// id is the value of the cookie.
	id string

	mu sync.Mutex
	// secret of the URL; empty once it was used.
	secret string
}

// NewLocal makes a door for a caller. Cookies are not kept apart by port, so the port is
// part of the cookie's name.
func NewLocal(caller *Caller, port int) *Local {
	return &Local{caller: caller, cookie: "kuda-session-" + strconv.Itoa(port), id: rand.Text(), secret: rand.Text()}
}

// Secret returns what the URL's fragment has to bring.
func (l *Local) Secret() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.secret
}

// Mode implements Door.
func (l *Local) Mode() contract.Mode { return contract.ModeLocal }

// Identify implements Door.
func (l *Local) Identify(r *http.Request) (*Caller, error) {
	c, err := r.Cookie(l.cookie)
	if err != nil || subtle.ConstantTimeCompare([]byte(c.Value), []byte(l.id)) != 1 {
		return nil, ErrNone
	}
	return l.caller, nil
}

// Recognise implements Door.
func (l *Local) Recognise(r *http.Request) string {
	if c, err := l.Identify(r); err == nil {
		return c.Digest
	}
	return ""
}

// SignIn implements Door: the secret is good for one cookie.
func (l *Local) SignIn(w http.ResponseWriter, _ *http.Request, brought contract.SignIn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.secret == "" || subtle.ConstantTimeCompare([]byte(brought.Secret), []byte(l.secret)) != 1 {
		return ErrSecret
	}
	l.secret = ""
	// The server is on the loopback interface, where there is no TLS.
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure would keep browsers from sending it to http://127.0.0.1.
		Name: l.cookie, Value: l.id, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	return nil
}

// SignOut implements Door. The session ends with the program; the cookie goes.
func (l *Local) SignOut(w http.ResponseWriter, _ *http.Request) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // As in SignIn.
		Name: l.cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}
