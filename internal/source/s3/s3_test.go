// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// fake opens a source on a handler that plays an S3 service.
func fake(t *testing.T, handler http.HandlerFunc) *Source {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s, err := New(Config{Endpoint: server.URL, Bucket: "bucket", Region: "us-east-1", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func collect(t *testing.T, s *Source, path string) (entries []source.Entry, err error) {
	t.Helper()
	for entry, err := range s.List(t.Context(), path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func page(w http.ResponseWriter, next string, objects ...string) {
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprintf(w, `<ListBucketResult><IsTruncated>%t</IsTruncated><NextContinuationToken>%s</NextContinuationToken>`, next != "", next)
	for _, key := range objects {
		fmt.Fprintf(w,
			`<Contents><Key>%s</Key><Size>3</Size><ETag>"e"</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`, key)
	}
	fmt.Fprint(w, `</ListBucketResult>`)
}

func TestAllPagesAreListedAndHostileKeysPassedOn(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continuation-token") == "" {
			page(w, "more", "tree/a", "tree/../../escape")
			return
		}
		page(w, "", "tree//double", "tree/z")
	})
	entries, err := collect(t, s, "tree/")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Path)
	}
	if want := "a ../../escape /double z"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestThrottlingCarriesItsPause(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `<Error><Code>SlowDown</Code><Message>slow down</Message></Error>`)
	})
	_, err := collect(t, s, "tree/")
	if !errors.Is(err, source.ErrThrottled) || source.RetryAfter(err) != 3*time.Second {
		t.Errorf("got %v after %v", err, source.RetryAfter(err))
	}
}

func TestServicesWithoutTagsAreWeak(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		w.Header().Set("Content-Length", "3")
		if r.Method == http.MethodGet {
			fmt.Fprint(w, "abc")
		}
	})
	entries, err := collect(t, s, "file")
	if err != nil {
		t.Fatal(err)
	}
	if entries[0].Identity.Strong() {
		t.Errorf("the identity %q is strong", entries[0].Identity)
	}
	body, err := s.Open(t.Context(), entries[0], 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
}

func TestAServiceThatIgnoresConditionsDoesNotPassOffOtherBytes(t *testing.T) {
	s := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		w.Header().Set("ETag", `"new"`)
		fmt.Fprint(w, "abc")
	})
	_, err := s.Open(t.Context(), source.Entry{Key: "file", Size: 3, Identity: `"old"`}, 0, 3)
	if !errors.Is(err, source.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	text := fmt.Sprintf("%v %+v %#v", Keys{SecretKey: "hunter2"}, &Keys{SecretKey: "hunter2"}, Config{Keys: &Keys{SecretKey: "hunter2"}}.Keys)
	if strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for _, c := range []Config{
		{Endpoint: "minio:9000", Bucket: "b"}, {Endpoint: "http://minio:9000"}, {Endpoint: "http://m", Bucket: "b", Proxy: "nowhere"},
		{Endpoint: "http://m", Bucket: "b", Keys: &Keys{}, Instance: &Instance{}},
		{Endpoint: "http://m", Bucket: "b", WebIdentity: &WebIdentity{}},
		{Endpoint: "http://m", Bucket: "b", WebIdentity: &WebIdentity{TokenFile: "t", STSEndpoint: "sts:1"}},
		{Endpoint: "http://m", Bucket: "b", Instance: &Instance{Endpoint: "169.254.169.254"}},
	} {
		if _, err := New(c); !errors.Is(err, source.ErrMisconfigured) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}
