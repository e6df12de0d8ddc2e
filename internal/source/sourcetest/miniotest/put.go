// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package miniotest

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// Client returns a client of the server's administrator.
func (s *Server) Client(t testing.TB) *minio.Client {
	t.Helper()
	client, err := minio.New(s.Addr, &minio.Options{
		Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Secure: s.Roots != nil, Transport: s.newTransport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Put stores an object.
func (s *Server) Put(t testing.TB, bucket, key string, content []byte) {
	t.Helper()
	_, err := s.Client(t).PutObject(t.Context(), bucket, key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
	if err != nil {
		t.Fatalf("putting %s: %v", key, err)
	}
}

// RawPut sends a signed PUT for a key that is escaped already and that no
// client would send, and returns the status of the answer.
func (s *Server) RawPut(t testing.TB, bucket, escapedKey string, content []byte) int {
	t.Helper()
	path, err := url.PathUnescape(escapedKey)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.Addr, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Path, request.URL.RawPath = "/"+bucket+"/"+path, "/"+bucket+"/"+escapedKey
	request.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	request = signer.SignV4(*request, AccessKey, SecretKey, "", "us-east-1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
