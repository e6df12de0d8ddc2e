// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// tokens is a registry that gives out tokens, each good for so many requests.
type tokens struct {
	*fake

	user, password string
	good           int
	given          int
	left           map[string]int
	refuse         int // the status of the token server, if it refuses
}

func newTokens(t *testing.T) *tokens {
	f := &tokens{fake: newFake(t), good: 1 << 30, left: map[string]int{}}
	f.hook = f.guardRequest
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addFile("a", "A")}})
	return f
}

func (f *tokens) guardRequest(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/token" {
		user, password, _ := r.BasicAuth()
		switch {
		case f.refuse > 0:
			w.WriteHeader(f.refuse)
		case user != f.user || password != f.password:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			f.given++
			token := fmt.Sprintf("token-%d", f.given)
			f.left[token] = f.good
			fmt.Fprintf(w, `{"token":%q}`, token)
		}
		return true
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if f.left[token]--; f.left[token] >= 0 {
		return false
	}
	w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test"`, f.URL))
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

func TestTokensAreFetchedAnonymouslyAndAgainWhenTheyExpire(t *testing.T) {
	f := newTokens(t)
	f.good = 2
	s := openSource(t, Config{Registry: f.URL})
	for range 5 {
		if got := readContents(t, s, "m:v1")["a"]; got != "A" {
			t.Errorf("got %q", got)
		}
	}
	if f.given < 3 {
		t.Errorf("%d tokens were given", f.given)
	}
}

func TestTokensAreFetchedWithThePasswordAndAgainWhenItChanges(t *testing.T) {
	f := newTokens(t)
	f.user, f.password = "u", "one"
	mount := newSecret(t, map[string]string{fileUsername: "u", filePassword: "one"})
	s := openSource(t, Config{Registry: f.URL, Credentials: mount})
	readContents(t, s, "m:v1")
	f.password, f.left = "two", map[string]int{}
	if _, err := collectEntries(t, s, "m:v1"); !errors.Is(err, source.ErrDenied) || !strings.Contains(err.Error(), "secretRef") {
		t.Errorf("with the old password: %v", err)
	}
	mount.Dir = newSecret(t, map[string]string{fileUsername: "u", filePassword: "two"}).Dir
	readContents(t, s, "m:v1")
}

func TestRefusalsOfTheTokenServerHaveTheirClass(t *testing.T) {
	for status, want := range map[int]error{
		401: source.ErrDenied, 403: source.ErrDenied, 429: source.ErrThrottled, 500: source.ErrTemporary, 404: source.ErrMisconfigured,
	} {
		f := newTokens(t)
		f.refuse = status
		if _, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "m:v1"); !errors.Is(err, want) {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

func TestStatusesHaveTheirClass(t *testing.T) {
	for status, want := range map[int]error{
		401: source.ErrDenied, 403: source.ErrDenied, 404: source.ErrNotFound, 429: source.ErrThrottled, 500: source.ErrThrottled,
		503: source.ErrThrottled, 400: source.ErrMisconfigured,
	} {
		f := newFake(t)
		f.hook = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(status)
			return true
		}
		_, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "m:v1")
		if !errors.Is(err, want) {
			t.Errorf("%d: got %v", status, err)
		}
		if errors.Is(want, source.ErrThrottled) && source.RetryAfter(err) != 3*time.Second {
			t.Errorf("%d: the pause is %v", status, source.RetryAfter(err))
		}
	}
}

func TestThePullSecretsEntryOfTheRegistryIsUsed(t *testing.T) {
	f := newTokens(t)
	f.user, f.password = "mine", "right"
	host := strings.TrimPrefix(f.URL, "http://")
	config := func(host string) string {
		return fmt.Sprintf(`{"auths":{"other.example.com":{"username":"theirs","password":"hidden"},%q:{"auth":%q}}}`,
			host, base64.StdEncoding.EncodeToString([]byte("mine:right")))
	}
	for _, name := range []string{host, "http://" + host, "http://" + host + "/v1/"} {
		s := openSource(t, Config{Registry: f.URL, Credentials: newSecret(t, map[string]string{fileDockerConfig: config(name)})})
		if got := readContents(t, s, "m:v1")["a"]; got != "A" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	for name, files := range map[string]map[string]string{
		"no entry":    {fileDockerConfig: config("else.example.com")},
		"no JSON":     {fileDockerConfig: `{"auths": hidden`},
		"no password": {fileUsername: "hidden"},
		"nothing":     {},
	} {
		_, err := collectEntries(t, openSource(t, Config{Registry: f.URL, Credentials: newSecret(t, files)}), "m:v1")
		if !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), `Secret "pull"`) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestDockerHubIsFoundUnderItsOldName(t *testing.T) {
	mount := newSecret(t, map[string]string{fileDockerConfig: `{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p"}}}`})
	s := openSource(t, Config{Registry: "docker.io", Credentials: mount})
	got, err := s.client.auth.Credential(t.Context(), "registry-1.docker.io")
	if err != nil || got.Username != "u" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCredentialsNeverGoToAnotherHost(t *testing.T) {
	leaked := make(chan string, 10)
	status := http.StatusOK
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked <- r.Header.Get("Authorization")
		if status != http.StatusOK {
			w.Header().Set("Www-Authenticate", `Basic realm="mine"`)
			w.WriteHeader(status)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("A"))
	}))
	t.Cleanup(other.Close)
	f := newFake(t)
	f.putManifest(t, "v1", manifest{Layers: []descriptor{f.addFile("a", "A")}})
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "hidden" {
			w.Header().Set("Www-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, other.URL+"/blob", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	mount := newSecret(t, map[string]string{fileUsername: "u", filePassword: "hidden"})
	if got := readContents(t, openSource(t, Config{Registry: f.URL, Credentials: mount}), "m:v1")["a"]; got != "A" {
		t.Errorf("got %q", got)
	}
	// A host that asks for them does not get them either.
	status = http.StatusUnauthorized
	if _, err := collectEntries(t, openSource(t, Config{Registry: f.URL, Credentials: mount}), "m:v1"); !errors.Is(err, source.ErrDenied) {
		t.Errorf("got %v", err)
	}
	close(leaked)
	count := 0
	for header := range leaked {
		if count++; header != "" {
			t.Errorf("another host got %q", header)
		}
	}
	if count < 2 {
		t.Errorf("the other host was asked %d times", count)
	}
}

func TestAnonymousRefusalsSayToAddASecret(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Www-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	if _, err := collectEntries(t, openSource(t, Config{Registry: f.URL}), "m:v1"); !errors.Is(err, source.ErrDenied) ||
		!strings.Contains(err.Error(), "secretRef") {
		t.Errorf("got %v", err)
	}
}
