// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard"
	"github.com/kuda-io/kuda/internal/dashboard/session"
)

const pausePath, pauseBody = "/api/v1/datasets/shop/models/pause", `{"uid":"uid-1"}`

func TestRequestsThatNoPageOfTheDashboardSendsAreRefused(t *testing.T) {
	w := newWorld(t, func(o *dashboard.Options) { o.Hosts = []string{"127.0.0.1"} })
	for name, test := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
		status             int
		code               string
	}{
		"a form of another site": {http.MethodPost, pausePath, pauseBody, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		}, http.StatusForbidden, "CrossOrigin"},
		"an old browser on another site": {http.MethodPost, pausePath, pauseBody, func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		}, http.StatusForbidden, "CrossOrigin"},
		"an image of another site": {http.MethodGet, "/api/v1/datasets", "", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, http.StatusForbidden, "CrossOrigin"},
		"a name that was pointed here": {http.MethodGet, "/api/v1/datasets", "", func(r *http.Request) { r.Host = "evil.example" },
			http.StatusMisdirectedRequest, "WrongHost"},
		"a form's content type": {http.MethodPost, pausePath, pauseBody, func(r *http.Request) {
			r.Header.Set("Content-Type", "text/plain")
		}, http.StatusUnsupportedMediaType, "NotJSON"},
		"a body that is too large": {http.MethodPost, pausePath, `{"uid":"` + strings.Repeat("x", 2<<20) + `"}`, nil,
			http.StatusRequestEntityTooLarge, "TooLarge"},
		"a body that is longer than any token": {http.MethodPost, "/api/v1/session", `{"token":"` + strings.Repeat("x", 64<<10) + `"}`, nil,
			http.StatusRequestEntityTooLarge, "TooLarge"},
		"a field that is not known": {http.MethodPost, pausePath, `{"uid":"uid-1","force":true}`, nil, http.StatusBadRequest, "BadRequest"},
		"an expired token": {http.MethodPost, pausePath, pauseBody, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+jwt(time.Now().Add(-time.Minute)))
		}, http.StatusUnauthorized, "Expired"},
		"a token that breaks the header": {http.MethodGet, "/api/v1/me", "", func(r *http.Request) {
			r.Header.Set("Authorization", `Bearer a"b`)
		}, http.StatusBadRequest, "NoToken"},
		"a path that is none": {http.MethodGet, "/api/v1/secrets", "", nil, http.StatusNotFound, "NoSuchPath"},
		"another method":      {http.MethodDelete, "/api/v1/datasets", "", nil, http.StatusNotFound, "NoSuchPath"},
	} {
		t.Run(name, func(t *testing.T) {
			// A token that is refused takes the cookie with it.
			w.signIn(t, adminToken)
			var change []func(*http.Request)
			if test.change != nil {
				change = append(change, test.change)
			}
			resp, body := w.send(t, test.method, test.path, test.body, change...)
			wantRefusal(t, resp, body, test.status, test.code)
			d := &v1alpha1.DataSet{}
			if err := w.Client.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "models"}, d); err != nil || d.Spec.Paused {
				t.Errorf("%v; paused %t", err, d.Spec.Paused)
			}
		})
	}
}

func TestWithoutACookieNothingIsShownOrChanged(t *testing.T) {
	w := newWorld(t)
	for method, path := range map[string]string{http.MethodPost: pausePath, http.MethodGet: "/api/v1/watch?namespace=shop&name=models"} {
		body := ""
		if method == http.MethodPost {
			body = pauseBody
		}
		resp, text := w.send(t, method, path, body)
		wantRefusal(t, resp, text, http.StatusUnauthorized, "NotSignedIn")
	}
	if w.dataSet(t).Spec.Paused {
		t.Error("it was paused")
	}
}

// jwt is a token that says when it ends.
func jwt(end time.Time) string {
	return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, end.Unix())) + ".c2ln"
}

func TestAForgedPostOfAViewerIsForbidden(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, viewerToken)
	resp, body := w.send(t, http.MethodPost, pausePath, pauseBody)
	wantRefusal(t, resp, body, http.StatusForbidden, "Forbidden")
}

func TestATokenThatTheAPIServerRefusesIsNotTaken(t *testing.T) {
	w := newWorld(t)
	resp, body := w.send(t, http.MethodPost, "/api/v1/session", `{"token":"made-up"}`)
	wantRefusal(t, resp, body, http.StatusUnauthorized, "Unauthorized")
	resp, body = w.send(t, http.MethodGet, "/api/v1/datasets", "")
	wantRefusal(t, resp, body, http.StatusUnauthorized, "NotSignedIn")
}

func TestTheCookieOfATokenIsKeptFromScriptsAndOtherSites(t *testing.T) {
	w := newWorld(t)
	token := jwt(time.Now().Add(10 * time.Minute))
	resp, body := w.send(t, http.MethodPost, "/api/v1/session", `{"token":"`+token+`"}`)
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for _, c := range resp.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || c.Path != "/" || c.Domain != "" {
			t.Errorf("another host of the domain can set %+v", c)
		}
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.MaxAge > 600 {
			t.Errorf("%+v", c)
		}
	}
	if len(resp.Cookies()) == 0 {
		t.Error("no cookie was set")
	}
}

func TestALongTokenComesBackFromItsCookies(t *testing.T) {
	w := newWorld(t)
	w.signIn(t, "e30."+strings.Repeat("a", 9000)+".c2ln")
	resp, body := w.send(t, http.MethodGet, "/api/v1/me", "")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, strings.Repeat("a", 9000)) {
		t.Errorf("%d %.200s", resp.StatusCode, body)
	}
	if resp, _ := w.send(t, http.MethodDelete, "/api/v1/session", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d", resp.StatusCode)
	}
	resp, body = w.send(t, http.MethodGet, "/api/v1/me", "")
	wantRefusal(t, resp, body, http.StatusUnauthorized, "NotSignedIn")
}

func TestEveryAnswerHasThePolicyOfThePage(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/datasets/shop/models", "/api/v1/me", "/assets/none.js"} {
		resp, _ := w.send(t, http.MethodGet, path, "")
		policy := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; ") ||
			!strings.Contains(policy, "require-trusted-types-for 'script'") ||
			resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

func TestWhoAsksTooOftenIsRefusedBeforeTheAPIServerIsAsked(t *testing.T) {
	w := newWorld(t, func(o *dashboard.Options) { o.Limits.PerSecond, o.Limits.Burst = 0.001, 3 })
	last, text := &http.Response{}, ""
	for range 4 {
		last, text = w.send(t, http.MethodGet, "/api/v1/me", "")
	}
	wantRefusal(t, last, text, http.StatusTooManyRequests, "TooManyRequests")
}

func TestStrangersBehindTheSameProxyDoNotKeepUsersFromTheirPage(t *testing.T) {
	w := newWorld(t, func(o *dashboard.Options) { o.Limits.PerSecond, o.Limits.Burst = 0.001, 5 })
	w.signIn(t, adminToken)
	stranger := *w.client
	stranger.Jar = nil
	last := 0
	for range 6 {
		resp, err := stranger.Get(w.web.URL + "/api/v1/me")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		last = resp.StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("a stranger got %d", last)
	}
	if resp, body := w.send(t, http.MethodGet, "/api/v1/me", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the user got %d %s", resp.StatusCode, body)
	}
}

func TestOnTheOwnMachineACredentialThatTheClusterRefusesDoesNotEndTheSession(t *testing.T) {
	var local *session.Local
	w := newWorld(t)
	refused := w.as("made-up")
	w = newWorld(t, func(o *dashboard.Options) {
		local = session.NewLocal(&session.Caller{Client: refused, Config: &rest.Config{}, Digest: "local", Namespace: "shop"}, 1)
		o.Door = local
	})
	resp, body := w.send(t, http.MethodPost, "/api/v1/session", `{"secret":"`+local.Secret()+`"}`)
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for range 2 {
		resp, body = w.send(t, http.MethodGet, "/api/v1/me", "")
		wantRefusal(t, resp, body, http.StatusBadGateway, "Unauthorized")
		if len(resp.Cookies()) != 0 || !strings.Contains(body, "sign in to the cluster again") {
			t.Errorf("%v %s", resp.Cookies(), body)
		}
	}
}

// broken is a door that has a fault.
type broken struct{ session.Door }

func (broken) Recognise(*http.Request) string                  { return "" }
func (broken) Identify(*http.Request) (*session.Caller, error) { panic("a fault") }

func TestAFaultOfTheServerIsLogged(t *testing.T) {
	logged := make(chan string, 1)
	w := newWorld(t, func(o *dashboard.Options) {
		o.Door = broken{}
		o.Log = funcr.New(func(_, line string) { logged <- line }, funcr.Options{})
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.web.URL+"/api/v1/me?q=hidden", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := w.client.Do(r); err == nil {
		resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
	if line := <-logged; !strings.Contains(line, "a fault") || !strings.Contains(line, "/api/v1/me") || strings.Contains(line, "hidden") {
		t.Error(line)
	}
}
