// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/dashboard/contract"
)

const (
	// tokenCookie is a name that browsers let this host only set, and no other one of its
	// domain.
	tokenCookie = "__Host-kuda-token-" //nolint:gosec // A name, and no token.
	// chunk is how much of a token one cookie has: browsers take 4096 bytes.
	chunk = 3800
	// maxChunks is for tokens that list hundreds of groups.
	maxChunks = 8
	// opaqueLife is how long a token is kept that does not say when it ends.
	opaqueLife = 8 * time.Hour
	// clientLife and maxClients bound the clients that are kept for reuse.
	clientLife = 10 * time.Minute
	maxClients = 256
)

// TokenOptions are how Tokens reach the API server.
type TokenOptions struct {
	// Config has the address and the CA of the API server, and no credentials.
	Config *rest.Config
	// Connect makes a client.
	Connect func(*rest.Config) (client.WithWatch, error)
	// Cluster is the name that the page shows, Namespace the one to begin with.
	Cluster, Namespace string
	Now                func() time.Time
}

// Tokens is the door of a server in the cluster.
type Tokens struct {
	options TokenOptions

	mu      sync.Mutex
	callers map[string]keptCaller
}

type keptCaller struct {
	caller *Caller
	until  time.Time
}

// NewTokens makes a door.
func NewTokens(o TokenOptions) *Tokens { return &Tokens{options: o, callers: map[string]keptCaller{}} }

// Mode implements Door.
func (t *Tokens) Mode() contract.Mode { return contract.ModeCluster }

// Identify implements Door. A proxy that signs users in brings the token as Authorization;
// the page brings it by cookies.
func (t *Tokens) Identify(r *http.Request) (*Caller, error) {
	token := tokenOf(r)
	switch {
	case token == "":
		return nil, ErrNone
	case !hasTokenForm(token):
		return nil, ErrToken
	case !t.options.Now().Before(expiryOf(token, t.options.Now())):
		return nil, ErrExpired
	}
	return t.caller(token)
}

// Recognise implements Door.
func (t *Tokens) Recognise(r *http.Request) string {
	token := tokenOf(r)
	if token == "" {
		return ""
	}
	digest := digestOf(token)
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept, ok := t.callers[digest]; ok && kept.caller.accepted.Load() {
		return digest
	}
	return ""
}

func tokenOf(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	return joinCookies(r)
}

// caller returns the caller of a token; the client is kept for a while.
func (t *Tokens) caller(token string) (*Caller, error) {
	digest, now := digestOf(token), t.options.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if kept, ok := t.callers[digest]; ok && now.Before(kept.until) {
		return kept.caller, nil
	}
	t.makeRoom(now)
	config := rest.CopyConfig(t.options.Config)
	config.BearerToken, config.BearerTokenFile = token, ""
	c, err := t.options.Connect(config)
	if err != nil {
		return nil, err
	}
	caller := &Caller{Client: c, Config: config, Digest: digest, Until: expiryOf(token, now),
		Cluster: t.options.Cluster, Namespace: t.options.Namespace}
	t.callers[digest] = keptCaller{caller: caller, until: now.Add(clientLife)}
	return caller, nil
}

// makeRoom forgets clients: those whose time is over, and where there is no room, first
// those of tokens that the API server has not taken, which any client can make up.
func (t *Tokens) makeRoom(now time.Time) {
	maps.DeleteFunc(t.callers, func(_ string, kept keptCaller) bool { return !now.Before(kept.until) })
	for _, also := range []bool{false, true} {
		for key, kept := range t.callers {
			if len(t.callers) < maxClients {
				return
			}
			if also || !kept.caller.accepted.Load() {
				delete(t.callers, key)
			}
		}
	}
}

// SignIn implements Door: the API server has to take the token.
func (t *Tokens) SignIn(w http.ResponseWriter, r *http.Request, brought contract.SignIn) error {
	if r.TLS == nil && !isLoopback(r.RemoteAddr) {
		return ErrPlain
	}
	token, now := strings.TrimSpace(brought.Token), t.options.Now()
	end := expiryOf(token, now)
	switch {
	case !hasTokenForm(token) || len(token) > chunk*maxChunks:
		return ErrToken
	case !now.Before(end):
		return ErrExpired
	}
	caller, err := t.caller(token)
	if err != nil {
		return err
	}
	if err := caller.Client.Create(r.Context(), &authenticationv1.SelfSubjectReview{}); err != nil {
		return err
	}
	caller.MarkAccepted()
	for i := range maxChunks {
		part := token[min(i*chunk, len(token)):min((i+1)*chunk, len(token))]
		age := int(end.Sub(now).Seconds())
		if part == "" {
			age = -1
		}
		http.SetCookie(w, newCookie(i, part, age))
	}
	return nil
}

// SignOut implements Door.
func (t *Tokens) SignOut(w http.ResponseWriter, _ *http.Request) {
	for i := range maxChunks {
		http.SetCookie(w, newCookie(i, "", -1))
	}
}

func newCookie(i int, value string, age int) *http.Cookie {
	return &http.Cookie{Name: tokenCookie + strconv.Itoa(i), Value: value, Path: "/", MaxAge: age, HttpOnly: true,
		Secure: true, SameSite: http.SameSiteStrictMode}
}

func joinCookies(r *http.Request) string {
	var b strings.Builder
	for i := range maxChunks {
		c, err := r.Cookie(tokenCookie + strconv.Itoa(i))
		if err != nil {
			break
		}
		b.WriteString(c.Value)
	}
	return b.String()
}

// hasTokenForm reports whether the text can be a bearer token: it must not break a header.
func hasTokenForm(token string) bool {
	if token == "" {
		return false
	}
	for _, r := range token {
		if r <= ' ' || r > '~' || strings.ContainsRune(`",;\`, r) {
			return false
		}
	}
	return true
}

// expiryOf returns when a token ends, as it says itself; the API server decides. A token that
// says nothing is kept for opaqueLife.
func expiryOf(token string, now time.Time) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return now.Add(opaqueLife)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Expiry float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Expiry <= 0 {
		return now.Add(opaqueLife)
	}
	return time.Unix(int64(claims.Expiry), 0)
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
