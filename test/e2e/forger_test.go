// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"crypto/md5" // ETags of S3 are MD5
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// newForger starts an HTTP proxy that says of an object what MinIO says of it, size
// and time, and serves other bytes, with their own ETag: with the object's, which is the MD5 of
// its bytes, they would be refused. Pods reach it at the address that it returns.
func newForger(t *testing.T, key string, forged []byte) string {
	t.Helper()
	real, err := store.client.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if real.Size != int64(len(forged)) {
		t.Fatalf("forged are %d bytes for %d", len(forged), real.Size)
	}
	listener, err := net.Listen("tcp", bridgeAddress+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/"+key) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(forged))) // ETags of S3 are MD5
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", real.LastModified, bytes.NewReader(forged))
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}
