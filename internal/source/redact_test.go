// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestSecretsInURLsAreCut(t *testing.T) {
	for text, want := range map[string]string{
		"":            "",
		"plain text.": "plain text.",
		"Head \"http://h:1/b/f?X-Amz-Signature=S3CRET\": refused":   "Head \"http://h:1/b/f?…\": refused",
		"https://user:S3CRET@h/p":                                   "https://…@h/p",
		"https://S3CRET@h":                                          "https://…@h",
		"HTTPS://u:S3CRET@h/p?a=S3CRET#S3CRET":                      "HTTPS://…@h/p?…",
		"https://h/p#access_token=S3CRET":                           "https://h/p#…",
		"https://h?S3CRET":                                          "https://h?…",
		"to /b/f?sv=1&sig=S3CRET, then":                             "to /b/f?… then",
		"Get \"/f?S3CRET\": refused":                                "Get \"/f?…\": refused",
		"sent token=S3CRET&x":                                       "sent token=…&x",
		"two http://a/?S3CRET and http://b/?S3CRET":                 "two http://a/?… and http://b/?…",
		"http://a/b@sha256:abc":                                     "http://a/b@sha256:abc",
		"http://proxy:S3/CRET@h/p":                                  "http://…@h/p",
		"s3://bucket/what?.txt":                                     "s3://bucket/what?.txt",
		"s3://key:S3CRET@bucket/x":                                  "s3://…@bucket/x",
		"registry answered 404; is it there?":                       "registry answered 404; is it there?",
		"http://[::1]:80/x?S3CRET":                                  "http://[::1]:80/x?…",
		"<Message>AWSAccessKeyId=S3CRET&Signature=S3CRET</Message>": "<Message>AWSAccessKeyId=…&Signature=…</Message>",
		"f: failed to parse Location header \"/50%off\\\"#S3CRET\": parse \"/50%off\\\"\": invalid URL " +
			"escape \"%of\"": "f: failed to parse Location header …: invalid URL escape \"%of\"",
		"Head \"https:/h?S3CRET\": http: no Host in request URL":          "Head \"https:/h?…\": http: no Host in request URL",
		"Get \"h:x#S3CRET\": refused, Get \"y\": x?":                      "Get \"h:x#…\": refused, Get \"y\": x?",
		"<Location>/b/f?S3CRET</Location>":                                "<Location>/b/f?…</Location>",
		"X-Amz-Credential=S3CRET%2Fus-east-1&X-Amz-Security-Token=S3CRET": "X-Amz-Credential=…&X-Amz-Security-Token=…",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%q\n became %q\n not    %q", text, got, want)
		}
	}
}

// An error of net/http quotes the address of the last request, wherever redirects
// led it.
func TestNoErrorQuotesTheQueryOfAnAddress(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "http://cdn/blob?X-Amz-Signature=S3CRET", Err: errors.New("refused")}
	for _, err := range []error{
		Wrap(context.Background(), "reading", cause),
		Wrap(context.Background(), "reading", &Error{Op: "inner", Class: ErrTemporary, Err: cause}),
		&Error{Op: "reading http://u:S3CRET@h/", Class: ErrDenied, Err: cause},
		fmt.Errorf("outer: %w", Wrap(context.Background(), "reading", cause)),
	} {
		if strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("got %v", err)
		}
	}
}

func TestFirstWordsOfAResponseAreShortAndOnOneLine(t *testing.T) {
	for answer, want := range map[string]string{
		"":                           "an empty answer",
		" \n\t ":                     "an empty answer",
		"<html>\n <b>log in</b>":     "\"<html> <b>log in</b>\"",
		"see http://h/?token=S3CRET": "\"see http://h/?…\"",
	} {
		if got := FirstWords([]byte(answer)); got != want {
			t.Errorf("%q: got %s", answer, got)
		}
	}
	if got := FirstWords([]byte(strings.Repeat("é\xff\x00", 1<<20))); len(got) > 4*maxWords {
		t.Errorf("got %d bytes", len(got))
	}
}

// FuzzNoSecretOfAURLIsLeft puts a secret into each part of a URL that may carry
// one, in the middle of some text.
func FuzzNoSecretOfAURLIsLeft(f *testing.F) {
	f.Add("see ", "host:1", "/a b", "k", ": refused")
	f.Add("\"", "h", "", "X-Amz-Signature", "\"")
	f.Add("(", "[::1]", "/x?y", "sig", ")")
	f.Fuzz(func(t *testing.T, before, host, path, key, after string) {
		const secret = "S3CRET"
		if strings.Contains(before+host+path+key+after, secret) {
			return
		}
		u := url.URL{Scheme: "https", Host: host, Path: path, User: url.UserPassword("u", secret), RawQuery: url.Values{key: {secret}}.Encode(),
			Fragment: secret}
		if parsed, err := url.Parse(u.String()); err != nil || parsed.Host != host || strings.ContainsAny(host, "\"'<>`") {
			return // no such URL is ever asked for
		}
		text := before + " " + u.String() + " " + after
		if got := Redact(text); strings.Contains(got, secret) {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
