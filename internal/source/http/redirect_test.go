// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import (
	"io"
	nethttp "net/http"
	"net/url"
	"strings"
	"testing"
)

// sender is a transport that sends nothing.
type sender func(r *nethttp.Request) *nethttp.Response

func (s sender) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) { return s(r), nil }

// FuzzRedirectsKeepSecrets has a server redirect a request with credentials
// to any address, which then fails. Only the server may get the credentials,
// and neither the message nor another server what signs an address.
func FuzzRedirectsKeepSecrets(f *testing.F) {
	for _, seed := range []string{"https://cdn.test/x?sig=S1GNED", "/x?sig=S1GNED", "//cdn.test/x?sig=S1GNED",
		"http://files.test/base/f?sig=S1GNED",
		"https://user:S1GNED@files.test:444/", "https://x.files.test/?a=S1GNED#S1GNED", "?sig=S1GNED", "https://FILES.test./?S1GNED", "%zz", ""} {
		f.Add(seed, "x?sig=S1GNED")
	}
	const secret, signature = "S3CRET", "S1GNED"
	c := Config{URL: "https://files.test/base", Credentials: credentials(f, fileToken, secret, fileQuery, "ticket="+secret)}
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.Contains(first+second, secret) {
			return
		}
		locations := []string{first, second}
		signed := false
		for _, location := range locations {
			if u, err := url.Parse(location); err == nil {
				u.User = nil
				location = u.String()
			}
			// What stands before the query is no secret.
			plain, _, _ := strings.Cut(location, "?")
			plain, _, _ = strings.Cut(plain, "#")
			signed = signed || strings.Contains(plain, signature)
		}
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		step := 0
		s.client.Transport.(*authenticator).next = sender(func(r *nethttp.Request) *nethttp.Response {
			told := r.URL.RawQuery + strings.Join(r.Header.Values("Authorization"), "") + r.Header.Get("Referer")
			if own := r.URL.Scheme == "https" && r.URL.Host == "files.test"; !own && strings.Contains(told, secret) {
				t.Errorf("%s is told %q", r.URL, told)
			}
			if strings.Contains(r.Header.Get("Referer"), signature) {
				t.Errorf("%s is told %q", r.URL, r.Header.Get("Referer"))
			}
			answer := &nethttp.Response{StatusCode: nethttp.StatusBadGateway, Status: "502 Bad Gateway", Header: nethttp.Header{}, Request: r,
				Body: io.NopCloser(strings.NewReader("")), ProtoMajor: 1, ProtoMinor: 1}
			if step < len(locations) {
				answer.StatusCode = nethttp.StatusFound
				answer.Header["Location"] = []string{locations[step]}
			}
			step++
			return answer
		})
		for _, err := range s.List(t.Context(), "f") {
			if err == nil {
				t.Fatal("what failed is listed")
			}
			if text := err.Error(); strings.Contains(text, secret) || (!signed && strings.Contains(text, signature)) {
				t.Errorf("the message is %q", text)
			}
		}
	})
}
