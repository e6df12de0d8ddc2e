// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/internal/source"
)

func TestCredentialsAreRenewedBeforeTheyEndAndKeptWhileThatFails(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fetched, failure := 0, error(nil)
	provider := &temporary{now: func() time.Time { return now }, fetch: func(context.Context) (credentials.Value, error) {
		if failure != nil {
			return credentials.Value{}, failure
		}
		fetched++
		return credentials.Value{AccessKeyID: fmt.Sprint(fetched), Expiration: now.Add(time.Hour)}, nil
	}}
	creds := credentials.New(provider)
	wantKey := func(when, key string) {
		t.Helper()
		if value, err := creds.GetWithContext(nil); err != nil || value.AccessKeyID != key {
			t.Errorf("%s: got key %q, %v, want %q", when, value.AccessKeyID, err, key)
		}
	}
	wantKey("at first", "1")
	now = now.Add(54 * time.Minute)
	wantKey("long before the end", "1")
	failure = errors.New("away")
	now = now.Add(2 * time.Minute)
	wantKey("while renewing fails", "1")
	if provider.IsExpired() {
		t.Error("every request asks again while renewing fails")
	}
	failure = nil
	now = now.Add(fetchPause)
	wantKey("when renewing works again", "2")
	failure = errors.New("away for good")
	now = now.Add(time.Hour)
	if _, err := creds.GetWithContext(nil); !errors.Is(err, failure) {
		t.Errorf("after the end: got %v", err)
	}
}

func TestRenewalComesBeforeTheEnd(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{
		time.Hour: 55 * time.Minute, 12 * time.Hour: 12*time.Hour - 5*time.Minute, 10 * time.Minute: 8 * time.Minute,
		10 * time.Second: 8 * time.Second,
	} {
		if got := renewalTime(now, now.Add(life)).Sub(now); got != want {
			t.Errorf("a life of %s: renewed after %s, want %s", life, got, want)
		}
	}
	if got := renewalTime(now, time.Time{}).Sub(now); got != unlimited {
		t.Errorf("without an end: renewed after %s", got)
	}
}

func TestCredentialsThatTheServiceForgotAreFetchedAnew(t *testing.T) {
	asked := 0
	sts := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		asked++
		if r.FormValue("RoleArn") != "arn:role" || r.FormValue("RoleSessionName") != "kuda" || r.FormValue("WebIdentityToken") != "a token" {
			t.Errorf("asked with %v", r.Form)
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>key%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, asked,
			time.Now().Add(time.Hour).Format(time.RFC3339))
	}))
	t.Cleanup(sts.Close)
	service := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "Credential=key1/") {
			w.WriteHeader(nethttp.StatusBadRequest)
			fmt.Fprint(w, `<Error><Code>ExpiredToken</Code><Message>too old</Message></Error>`)
			return
		}
		page(w, "", "tree/a")
	}))
	t.Cleanup(service.Close)
	s, err := New(Config{Endpoint: service.URL, Bucket: "bucket", PathStyle: true,
		WebIdentity: &WebIdentity{RoleARN: "arn:role", TokenFile: tokenFile(t), STSEndpoint: sts.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if entries, err := collect(t, s, "tree/"); err != nil || len(entries) != 1 || asked != 2 {
		t.Errorf("got %v, %v after %d exchanges", entries, err, asked)
	}
}

func tokenFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestARefusedTokenSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		class  error
		text   string
	}{
		"no trust": {403, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>`,
			source.ErrCredentials, "trusts this cluster's issuer"},
		"old token": {400, `<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>`, source.ErrCredentials, "clocks"},
		"no keys":   {200, `<html></html>`, source.ErrMisconfigured, "stsEndpoint"},
		"throttled": {400, `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`, source.ErrThrottled, "Throttling"},
		"issuer away": {400, `<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>`, source.ErrTemporary,
			"IDPCommunicationError"},
		"service ill": {500, ``, source.ErrTemporary, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			sts := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer sts.Close()
			_, err := fetchByToken(WebIdentity{TokenFile: tokenFile(t)}, sts.URL, sts.Client())(t.Context())
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.class, c.text)
			}
			if strings.Contains(fmt.Sprint(err), "a token") {
				t.Error("the message has the token")
			}
		})
	}
}

func TestTokensGoToTheServiceOfTheRegion(t *testing.T) {
	for _, c := range []struct{ given, endpoint, region, want string }{
		{"", "https://s3.eu-west-1.amazonaws.com", "eu-west-1", "https://sts.eu-west-1.amazonaws.com"},
		{"", "https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"},
		{"", "https://minio.storage:9000", "us-east-1", "https://minio.storage:9000"},
		{"http://sts:1", "https://minio.storage:9000", "us-east-1", "http://sts:1"},
	} {
		endpoint, err := url.Parse(c.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		if got := stsEndpoint(WebIdentity{STSEndpoint: c.given}, *endpoint, c.region); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}

func TestAnInstanceWithoutCredentialsSaysWhatToDo(t *testing.T) {
	status := func(code int) nethttp.HandlerFunc {
		return func(w nethttp.ResponseWriter, r *nethttp.Request) { w.WriteHeader(code) }
	}
	text := func(s string) nethttp.HandlerFunc {
		return func(w nethttp.ResponseWriter, r *nethttp.Request) { fmt.Fprint(w, s) }
	}
	for name, c := range map[string]struct {
		token, role, keys nethttp.HandlerFunc
		want              string
	}{
		"turned off": {status(403), nil, nil, "turned on"},
		"no role":    {text("t"), status(404), nil, "attach one"},
		"failed":     {text("t"), text("r"), text(`{"Code":"AssumeRoleUnauthorizedAccess","Message":"no trust"}`), "no trust"},
		"no keys":    {text("t"), text("r"), text(`{"Code":"Success"}`), "no keys"},
		"no JSON":    {text("t"), text("r"), text(`<html>`), "check the endpoint"},
		"no tokens":  {status(404), text("r"), text(`{"AccessKeyId":"a","SecretAccessKey":"b"}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			mux := nethttp.NewServeMux()
			mux.HandleFunc(metadataToken, c.token)
			if c.role != nil {
				mux.HandleFunc(metadataKeys, c.role)
			}
			if c.keys != nil {
				mux.HandleFunc(metadataKeys+"r", c.keys)
			}
			server := httptest.NewServer(mux)
			defer server.Close()
			value, err := newInstance().fetchFrom(server.URL)(t.Context())
			if c.want == "" {
				if err != nil || value.AccessKeyID != "a" {
					t.Errorf("got %+v, %v", value.AccessKeyID, err)
				}
				return
			}
			if !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := newInstance().fetchFrom("http://127.0.0.1:1")(t.Context()); !errors.Is(err, source.ErrCredentials) ||
		!strings.Contains(err.Error(), "hop limit") {
		t.Errorf("no service there: got %v", err)
	}
	server := httptest.NewServer(nethttp.NotFoundHandler())
	t.Cleanup(server.Close)
	for endpoint, refused := range map[string]bool{"http://credentials.example.com": true, "http://169.254.169.254": true, server.URL: false} {
		response, err := newInstanceClient(endpoint).Get(server.URL)
		if (err != nil && strings.Contains(err.Error(), "address of the pod itself")) != refused {
			t.Errorf("an endpoint %s that leads to the pod itself: got %v", endpoint, err)
		}
		if err == nil {
			_ = response.Body.Close()
		}
	}
}

func TestAContainersCredentialsAreAskedForWithItsToken(t *testing.T) {
	server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path != "/v1/credentials" || r.Header.Get("Authorization") != "a token" {
			w.WriteHeader(nethttp.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"AccessKeyId":"a","SecretAccessKey":"b","Token":"c","Expiration":"2026-01-01T00:00:00Z"}`)
	}))
	t.Cleanup(server.Close)
	env := map[string]string{envFullURI: server.URL + "/v1/credentials", envTokenFile: tokenFile(t)}
	i := newInstance()
	i.getenv = func(name string) string { return env[name] }
	value, err := i.fetchFrom("")(t.Context())
	if err != nil || value.AccessKeyID != "a" || value.SessionToken != "c" || value.Expiration.IsZero() {
		t.Errorf("got %v, %v", value.AccessKeyID, err)
	}
	delete(env, envTokenFile)
	if _, err := i.fetchFrom("")(t.Context()); !errors.Is(err, source.ErrCredentials) {
		t.Errorf("without the token: got %v", err)
	}
	for want, env := range map[string]map[string]string{
		metadataEndpoint: {}, containerEndpoint + "/v2/x": {envRelativeURI: "/v2/x"},
	} {
		i.getenv = func(name string) string { return env[name] }
		if got := i.credentialsEndpoint(""); got != want {
			t.Errorf("%v: got %s", env, got)
		}
	}
}
