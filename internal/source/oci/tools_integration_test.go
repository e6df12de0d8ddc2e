// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package oci

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	orasfile "oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/oci/ocitest"
)

// What ORAS itself pushes, files and directories, comes out as it went in.
func TestWhatORASPushedIsRead(t *testing.T) {
	r := ocitest.Start(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"config.json": "{}", "weights/a/1.bin": "one", "weights/2.bin": strings.Repeat("two", 100_000)} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("2.bin", filepath.Join(dir, "weights/latest")); err != nil {
		t.Fatal(err)
	}
	store, err := orasfile.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	var layers []ocispec.Descriptor
	for _, name := range []string{"config.json", "weights"} {
		d, err := store.Add(t.Context(), name, "", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, d)
	}
	m, err := oras.PackManifest(t.Context(), store, oras.PackManifestVersion1_1, "application/vnd.kuda.test",
		oras.PackManifestOptions{Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Tag(t.Context(), m, "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(t.Context(), store, "v1", r.Repository(t, "team/model"), "v1", oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	s := openSource(t, Config{Registry: "http://" + r.Addr, ScratchDir: t.TempDir()})
	want := map[string]string{"config.json": "{}", "weights/a/1.bin": "one", "weights/2.bin": strings.Repeat("two", 100_000),
		"weights/latest": "-> 2.bin"}
	for _, path := range []string{"team/model:v1", "team/model@" + m.Digest.String()} {
		if diff := cmp.Diff(want, readContents(t, s, path)); diff != "" {
			t.Errorf("%s (-want +got):\n%.1000s", path, diff)
		}
	}
	if got := readContents(t, s, "team/model:v1//weights/a"); got["1.bin"] != "one" || len(got) != 1 {
		t.Errorf("a part: got %q", got)
	}
}

func TestImagesForSeveralPlatformsAreChosenFrom(t *testing.T) {
	r := ocitest.Start(t)
	repository := r.Repository(t, "team/image")
	var manifests []ocispec.Descriptor
	for _, arch := range []string{"arm64", "amd64"} {
		base := ocitest.Gzip(t, ocitest.Tar(t, ocitest.Dir("etc"), ocitest.File("etc/arch", arch), ocitest.File("etc/old", "old"),
			ocitest.Link("sh", "/bin/sh")))
		top := ocitest.Zstd(t, ocitest.Tar(t, ocitest.File("etc/.wh.old", ""), ocitest.Hard("etc/same", "etc/arch"),
			ocitest.File("etc/arch", arch)))
		d := ocitest.PushManifest(t, repository, "",
			ocitest.PushBlob(t, repository, ocispec.MediaTypeImageLayerGzip, base, nil),
			ocitest.PushBlob(t, repository, ocispec.MediaTypeImageLayerZstd, top, nil))
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		manifests = append(manifests, d)
	}
	ocitest.PushIndex(t, repository, "v1", manifests...)
	for _, arch := range []string{"arm64", "amd64"} {
		s := openSource(t, Config{Registry: "http://" + r.Addr, ScratchDir: t.TempDir(), Platform: "linux/" + arch})
		want := map[string]string{"etc/arch": arch, "etc/same": arch, "sh": "-> bin/sh"}
		if diff := cmp.Diff(want, readContents(t, s, "team/image:v1")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// signer is a server that gives out tokens, signed as the registry wants them.
type signer struct {
	key      *ecdsa.PrivateKey
	password string
	lifetime time.Duration
	given    atomic.Int32
}

const keyID = "test"

func encodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keySet writes the public key where the registry looks for it.
func (s *signer) keySet(t *testing.T) string {
	t.Helper()
	point, err := s.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	text := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":%q,"x":%q,"y":%q}]}`,
		keyID, encodeBase64(point[1:33]), encodeBase64(point[33:]))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); password != s.password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var access []map[string]any
	for _, scope := range r.URL.Query()["scope"] {
		parts := strings.Split(scope, ":")
		access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
	}
	now := time.Now()
	claims, err1 := json.Marshal(map[string]any{"iss": "kuda-test", "aud": "kuda-test", "sub": "tester", "jti": rand.Text(),
		"nbf": now.Add(-time.Minute).Unix(), "iat": now.Unix(), "exp": now.Add(s.lifetime).Unix(), "access": access})
	signed := encodeBase64([]byte(`{"typ":"JWT","alg":"ES256","kid":"`+keyID+`"}`)) + "." + encodeBase64(claims)
	sum := sha256.Sum256([]byte(signed))
	x, y, err2 := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err := errors.Join(err1, err2); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.given.Add(1)
	signature := append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...)
	fmt.Fprintf(w, `{"token":%q}`, signed+"."+encodeBase64(signature))
}

func TestTokensOfARealRegistryAreFetchedAndRenewed(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tokens := &signer{key: private, password: "right", lifetime: time.Hour}
	server := httptest.NewServer(tokens)
	t.Cleanup(server.Close)
	r := ocitest.Start(t, "realm="+server.URL+"/token", "jwks="+tokens.keySet(t))
	repository := r.Repository(t, "team/model")
	repository.Client = &auth.Client{Credential: auth.StaticCredential(r.Addr, auth.Credential{Username: "u", Password: "right"})}
	ocitest.PushManifest(t, repository, "v1", ocitest.PushBlob(t, repository, "application/octet-stream", []byte("A"),
		map[string]string{annotationTitle: "a"}))

	tokens.lifetime = -2 * time.Hour // expired before it is used: every request needs a new one, and fails
	pull := newSecret(t, map[string]string{fileDockerConfig: fmt.Sprintf(`{"auths":{%q:{"username":"u","password":"right"}}}`, r.Addr)})
	s := openSource(t, Config{Registry: "http://" + r.Addr, Credentials: pull})
	if _, err := collectEntries(t, s, "team/model:v1"); !errors.Is(err, source.ErrDenied) {
		t.Errorf("with an expired token: %v", err)
	}
	tokens.lifetime = time.Hour
	before := tokens.given.Load()
	for range 3 {
		if got := readContents(t, s, "team/model:v1")["a"]; got != "A" {
			t.Errorf("got %q", got)
		}
	}
	if given := tokens.given.Load() - before; given != 1 {
		t.Errorf("%d tokens were fetched for one repository", given)
	}
	wrong := newSecret(t, map[string]string{fileUsername: "u", filePassword: "wrong"})
	for name, c := range map[string]Config{"a wrong password": {Credentials: wrong}, "no credentials": {}} {
		c.Registry = "http://" + r.Addr
		if _, err := collectEntries(t, openSource(t, c), "team/model:v1"); !errors.Is(err, source.ErrDenied) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
