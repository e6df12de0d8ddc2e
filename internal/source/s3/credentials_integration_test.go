// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

const audience = "kuda-test"

func TestATokenIsExchangedForCredentials(t *testing.T) {
	issuer := newIssuer(t)
	server := minioService(t, miniotest.StartWith(t, miniotest.Options{Buckets: []string{bucket}, Env: []string{
		"MINIO_IDENTITY_OPENID_CONFIG_URL=" + issuer.URL + "/.well-known/openid-configuration",
		"MINIO_IDENTITY_OPENID_CLIENT_ID=" + audience,
		"MINIO_IDENTITY_OPENID_ROLE_POLICY=readwrite",
	}}))
	server.put(t, "tree/file", []byte("content"))
	file := filepath.Join(t.TempDir(), "token")
	s := server.open(t, func(c *Config) { c.Keys, c.WebIdentity = nil, &WebIdentity{RoleARN: roleOf(audience), TokenFile: file} })

	if err := errorOf(t, s, "tree/"); !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), file) {
		t.Errorf("without a token: got %v", err)
	}
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(issuer.token(t, "someone-else"))
	if err := errorOf(t, s, "tree/"); !errors.Is(err, source.ErrCredentials) || !strings.Contains(err.Error(), "audience") {
		t.Errorf("with a token for another audience: got %v", err)
	}
	write(issuer.token(t, audience))
	if got := readRange(t, s, one(t, s, "tree/"), 0, 7); string(got) != "content" {
		t.Errorf("got %q", got)
	}
	write("no longer needed until the credentials end")
	if got := readRange(t, s, one(t, s, "tree/"), 0, 7); string(got) != "content" {
		t.Errorf("got %q", got)
	}
}

// roleOf is what MinIO calls the role of those with tokens for an audience.
func roleOf(audience string) string {
	sum := sha1.Sum([]byte(audience))
	return "arn:minio:iam:::role/" + encode(sum[:])
}

// issuer is an OpenID provider as an API server is one: a document, and keys.
type issuer struct {
	URL string
	key *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	mux := http.NewServeMux()
	answer := func(path string, document func() map[string]any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(document())
		})
	}
	answer("/.well-known/openid-configuration", func() map[string]any {
		return map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "response_types_supported": []string{"id_token"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}}
	})
	answer("/keys", func() map[string]any {
		return map[string]any{"keys": []map[string]string{{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}}}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token is one of a service account that may read.
func (i *issuer) token(t *testing.T, audience string) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return encode(b)
	}
	text := part(map[string]string{"alg": "RS256", "typ": "JWT", "kid": "1"}) + "." + part(map[string]any{
		"iss": i.URL, "aud": audience, "sub": "system:serviceaccount:models:reader",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(signature)
}

func TestAnInstancesCredentialsAreUsed(t *testing.T) {
	server := startMinIO(t)
	server.put(t, "tree/file", []byte("content"))
	given, err := credentials.NewSTSAssumeRole(server.config.Endpoint, credentials.STSAssumeRoleOptions{
		AccessKey: miniotest.AccessKey, SecretKey: miniotest.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	value, err := given.GetWithContext(nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+metadataToken, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(headerTokenLife) == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte("a token"))
	})
	withToken := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(headerToken) != "a token" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = w.Write([]byte(body))
		})
	}
	document, err := json.Marshal(map[string]any{"Code": "Success", "AccessKeyId": value.AccessKeyID, "SecretAccessKey": value.SecretAccessKey,
		"Token": value.SessionToken, "Expiration": value.Expiration})
	if err != nil {
		t.Fatal(err)
	}
	withToken("GET "+metadataKeys+"{$}", "reader\n")
	withToken("GET "+metadataKeys+"reader", string(document))
	metadata := httptest.NewServer(mux)
	t.Cleanup(metadata.Close)

	s := server.open(t, func(c *Config) { c.Keys, c.Instance = nil, &Instance{Endpoint: metadata.URL} })
	if got := readRange(t, s, one(t, s, "tree/"), 0, 7); string(got) != "content" {
		t.Errorf("got %q", got)
	}
}
