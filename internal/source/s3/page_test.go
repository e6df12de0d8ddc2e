// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

const lastPage = "<?xml version='1.0'?><ListBucketResult " +
	"xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><IsTruncated>false</IsTruncated></ListBucketResult>"

func TestOnlyWholePagesOfListingsArePages(t *testing.T) {
	for body, want := range map[string]bool{
		lastPage:                     true,
		"\ufeff" + lastPage + "\r\n": true,
		"<s3:ListBucketResult xmlns:s3='x'><s3:IsTruncated> false </s3:IsTruncated></s3:ListBucketResult>":                                  true,
		"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>":              true,
		"<ListBucketResult><Contents><Key>&lt;IsTruncated&gt;true&lt;/</Key></Contents><IsTruncated>false</IsTruncated></ListBucketResult>": true,
		"":       false,
		" ":      false,
		"{}":     false,
		"<html>": false,
		"<html><body>ListBucketResult></body></html>":                                         false,
		"<Error><Code>InternalError</Code></Error>":                                           false,
		"text " + lastPage:                                                                    false,
		"<ListBucketResult></ListBucketResult>":                                               false,
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>":                false,
		"<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>":               false,
		"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>": false,
		"<ListBucketResult><IsTruncated>false</IsTruncated>":                                  false,
		"<ListAllMyBucketsResult><IsTruncated>false</IsTruncated></ListAllMyBucketsResult>":   false,
	} {
		err := checkPage([]byte(body))
		if got := err == nil; got != want {
			t.Errorf("%q: got %v", body, err)
		}
		if err != nil && !errors.Is(err, source.ErrTemporary) {
			t.Errorf("%q: got %v", body, err)
		}
	}
}

func FuzzNoPageWithoutItsEndIsTaken(f *testing.F) {
	f.Add([]byte(lastPage))
	f.Add([]byte("<html>"))
	f.Add([]byte("<x:ListBucketResult><IsTruncated>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkPage(body) != nil {
			return
		}
		if text := strings.TrimSpace(string(body)); !strings.HasSuffix(text, "ListBucketResult>") || rootOf(body) != "ListBucketResult" {
			t.Fatalf("%q is taken for a page", body)
		}
	})
}

func TestTheReasonOfARefusedHEADIsAskedFor(t *testing.T) {
	for code, c := range map[string]struct {
		status  int
		message string
		class   error
		want    string
	}{
		"RequestTimeTooSkewed": {nethttp.StatusForbidden, "The difference is too large.", source.ErrMisconfigured, "correct the clock"},
		"InvalidRequest": {nethttp.StatusBadRequest, "The object was stored using a form of Server Side Encryption.",
			source.ErrMisconfigured, "SSE-C"},
	} {
		s := fake(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.WriteHeader(c.status)
			if r.Method != nethttp.MethodHead {
				_, _ = w.Write([]byte("<Error><Code>" + code + "</Code><Message>" + c.message + "</Message></Error>"))
			}
		})
		if _, err := collect(t, s, "file"); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", code, err)
		}
	}
}

func TestTheDirectorysOwnObjectIsNoFile(t *testing.T) {
	s := fake(t, nil)
	e, err := s.listedEntry("listing", "t/", minio.ObjectInfo{Key: "t/", Size: 6, ETag: "1"})
	var invalid *source.InvalidPathError
	if err != nil || !errors.As(e.Fault, &invalid) || invalid.Name != "t/" {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, err := s.listedEntry("listing", "t/", minio.ObjectInfo{Key: "u/a"}); !errors.Is(err, source.ErrTemporary) {
		t.Errorf("got %v", err)
	}
}

func TestAnEndpointIsAHostAndNothingElse(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://h:1": true, "https://h/": true, "https://h/path": false, "https://u@h": false, "https://u:S3CRET@h": false, "https://h?x": false,
		"https://h#x": false,
	} {
		_, err := New(Config{Endpoint: endpoint, Bucket: "b"})
		if got := err == nil; got != want || err != nil && strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: got %v", endpoint, err)
		}
	}
}

func TestABucketWithDotsIsExplainedWhereNoCertificateCanHold(t *testing.T) {
	for bucket, want := range map[string]bool{"my.models": true, "models": false} {
		s, err := New(Config{Endpoint: "https://s3.example.com", Bucket: bucket})
		if err != nil {
			t.Fatal(err)
		}
		cause := x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"*.s3.example.com"}}, Host: bucket + ".s3.example.com"}
		err = s.classifyError(t.Context(), "listing", &tls.CertificateVerificationError{Err: cause})
		if !errors.Is(err, source.ErrMisconfigured) || strings.Contains(err.Error(), "pathStyle") != want {
			t.Errorf("%s: got %v", bucket, err)
		}
	}
}
