// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"encoding/base64"
	"errors"
	"fmt"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

func TestErrorResponsesHaveTheirClassAndSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		class  error
		text   string
	}{
		{403, "AccessDenied", source.ErrDenied, "requests are anonymous"},
		{403, "RequestTimeTooSkewed", source.ErrMisconfigured, "correct the clock"},
		{400, "ExpiredToken", source.ErrDenied, "ExpiredToken"},
		{403, "InvalidAccessKeyId", source.ErrDenied, "anonymous"},
		{403, "InvalidObjectState", source.ErrMisconfigured, "restore it first"},
		{404, "NoSuchBucket", source.ErrNotFound, "check the bucket"},
		{503, "SlowDown", source.ErrThrottled, "SlowDown"},
		{400, "RequestLimitExceeded", source.ErrThrottled, "RequestLimitExceeded"},
		{500, "InternalError", source.ErrTemporary, "InternalError"},
		{503, "ServiceUnavailable", source.ErrTemporary, "ServiceUnavailable"},
		{418, "Odd", source.ErrMisconfigured, "Odd"},
	} {
		s := fake(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.WriteHeader(c.status)
			fmt.Fprintf(w, `<Error><Code>%s</Code><Message>said the service</Message></Error>`, c.code)
		})
		_, err := collect(t, s, "tree/")
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "said the service") {
			t.Errorf("%d %s: got %v, want %v with %q", c.status, c.code, err, c.class, c.text)
		}
	}
}

func TestThrottlingOfASingleObjectCarriesItsPause(t *testing.T) {
	s := fake(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(nethttp.StatusTooManyRequests)
	})
	_, err := collect(t, s, "file")
	if !errors.Is(err, source.ErrThrottled) || source.RetryAfter(err) != 3*time.Second {
		t.Errorf("got %v after %v", err, source.RetryAfter(err))
	}
}

func TestObjectsWithOddHeadersCanBeRead(t *testing.T) {
	s := fake(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Expires", "0")
		w.Header().Set("Content-Length", "3")
		if r.Method == nethttp.MethodGet {
			fmt.Fprint(w, "abc")
		}
	})
	entries, err := collect(t, s, "file")
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.Open(t.Context(), entries[0], 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
}

// Reading a version takes a right of its own; who lacks it is told to list again.
func TestAnOverwrittenObjectWhoseVersionMayNotBeReadIsChanged(t *testing.T) {
	for _, status := range []int{nethttp.StatusForbidden, nethttp.StatusNotFound} {
		asked := 0
		s := fake(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			asked++
			if r.URL.Query().Get("versionId") != "" {
				w.WriteHeader(status)
				return
			}
			w.WriteHeader(nethttp.StatusPreconditionFailed)
		})
		_, err := s.Open(t.Context(), source.Entry{Key: withVersion("file", "v1"), Size: 3, Identity: `"old"`}, 0, 3)
		if !errors.Is(err, source.ErrChanged) || asked != 2 {
			t.Errorf("status %d: got %v after %d requests", status, err, asked)
		}
	}
}

// Two tries and no more: a service that names another region each time must not
// be asked for ever.
func TestAServiceThatNamesEverOtherRegionsIsGivenUp(t *testing.T) {
	var asked atomic.Int64
	s := fake(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.WriteHeader(nethttp.StatusBadRequest)
		fmt.Fprintf(w, `<Error><Code>AuthorizationHeaderMalformed</Code><Region>region-%d</Region></Error>`, asked.Add(1))
	})
	s.follow = true
	// A file is asked for in three ways at once.
	for path, most := range map[string]int64{"tree/": 3, "file": 7} {
		asked.Store(0)
		if _, err := collect(t, s, path); !errors.Is(err, source.ErrMisconfigured) {
			t.Errorf("%s: got %v", path, err)
		}
		if n := asked.Load(); n > most {
			t.Errorf("%s: asked %d times", path, n)
		}
	}
}

func TestOnlyPromisesAboutTheWholeObjectAreChecksums(t *testing.T) {
	const tag = "900150983cd24fb0d6963f7d28e17f72"
	sum := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	header := func(name, value string) nethttp.Header { return nethttp.Header{name: {value}} }
	for name, c := range map[string]struct {
		info minio.ObjectInfo
		want string
	}{
		"the strongest": {minio.ObjectInfo{ETag: tag, ChecksumSHA256: sum(32), ChecksumCRC32C: sum(4)}, "sha256:" + strings.Repeat("00", 32)},
		"of all parts": {minio.ObjectInfo{ETag: tag + "-2", ChecksumMode: "FULL_OBJECT", ChecksumCRC64NVME: sum(8)},
			"crc64nvme:0000000000000000"},
		"of parts' sums":   {minio.ObjectInfo{ETag: tag + "-2", ChecksumMode: "COMPOSITE", ChecksumCRC32C: sum(4)}, ""},
		"of parts, marked": {minio.ObjectInfo{ETag: tag + "-2", ChecksumSHA256: sum(32) + "-2"}, ""},
		"cut":              {minio.ObjectInfo{ETag: tag + "-2", ChecksumSHA256: sum(31)}, ""},
		"plain":            {minio.ObjectInfo{ETag: tag}, "md5:" + tag},
		"managed key":      {minio.ObjectInfo{ETag: tag, Headers: header("X-Amz-Server-Side-Encryption", "AES256")}, "md5:" + tag},
		"own key":          {minio.ObjectInfo{ETag: tag, Headers: header("X-Amz-Server-Side-Encryption", "aws:kms")}, ""},
		"client's key":     {minio.ObjectInfo{ETag: tag, Headers: header("X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")}, ""},
		"another tag":      {minio.ObjectInfo{ETag: "abc"}, ""},
	} {
		if got := objectChecksum(c.info); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
