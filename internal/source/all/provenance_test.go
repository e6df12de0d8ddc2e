// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package all

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	nethttp "net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs"
	"github.com/kuda-io/kuda/internal/source/http"
	"github.com/kuda-io/kuda/internal/source/oci"
	"github.com/kuda-io/kuda/internal/source/pvc"
	"github.com/kuda-io/kuda/internal/source/s3"
)

// from returns what a source says of itself: its origin, and who asks.
func from(t *testing.T, c Config) (origin string, principal source.Secret) {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, err := s.Provenance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Identity() + " " + p.Way, p.Principal
}

// mount is a Secret with pairs of keys and values.
func mount(t *testing.T, pairs ...string) *source.Mount {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, pairs[i]), []byte(pairs[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &source.Mount{Dir: dir, Name: "the Secret"}
}

func authority(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.crt")
	// A comment makes another file of the same certificate.
	text := append([]byte("# "+file+"\n"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func token(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Whatever decides whose bytes arrive makes another origin.
func TestWhatDecidesWhoseBytesArriveIsPartOfTheOrigin(t *testing.T) {
	one, other := authority(t), authority(t)
	s3of := func(change func(*s3.Config)) Config {
		c := s3.Config{Endpoint: "https://minio:9000", Bucket: "models"}
		change(&c)
		return Config{S3: &c}
	}
	httpOf := func(url string, change func(*http.Config)) Config {
		c := http.Config{URL: url}
		change(&c)
		return Config{HTTP: &c}
	}
	ociOf := func(change func(*oci.Config)) Config {
		c := oci.Config{Registry: "registry:5000"}
		change(&c)
		return Config{OCI: &c}
	}
	kerberos := func(conf, service string) Config {
		m := *mount(t, "keytab", "keys", "krb5.conf", conf)
		return Config{HDFS: &hdfs.Config{Addresses: []string{"nn"}, Kerberos: &hdfs.Kerberos{Principal: "reader@R",
			ServicePrincipalName: service, Keytab: hdfs.File{Mount: m, Key: "keytab"}, Krb5Conf: hdfs.File{Mount: m, Key: "krb5.conf"}}}}
	}
	claim := func(root string) Config { return Config{PVC: &pvc.Config{Root: root, Claim: "models"}} }
	volume := t.TempDir()
	for kind, configs := range map[string][]Config{
		"s3": {
			s3of(func(*s3.Config) {}),
			s3of(func(c *s3.Config) { c.Endpoint = "http://minio:9000" }),
			s3of(func(c *s3.Config) { c.Bucket = "other" }),
			s3of(func(c *s3.Config) { c.Proxy = "http://proxy:3128" }),
			s3of(func(c *s3.Config) { c.Proxy = "http://other:3128" }),
			s3of(func(c *s3.Config) { c.CAFile = one }),
			s3of(func(c *s3.Config) { c.CAFile = other }),
			s3of(func(c *s3.Config) { c.PathStyle = true }),
		},
		"http": {
			httpOf("https://host", func(*http.Config) {}),
			httpOf("http://host", func(*http.Config) {}),
			httpOf("https://host/base", func(*http.Config) {}),
			httpOf("https://host", func(c *http.Config) { c.Proxy = "http://proxy:3128" }),
			httpOf("https://host", func(c *http.Config) { c.CAFile = one }),
			httpOf("https://host", func(c *http.Config) { c.CAFile = other }),
		},
		"oci": {
			ociOf(func(*oci.Config) {}),
			ociOf(func(c *oci.Config) { c.Registry = "http://registry:5000" }),
			ociOf(func(c *oci.Config) { c.Proxy = "http://proxy:3128" }),
			ociOf(func(c *oci.Config) { c.CAFile = one }),
			ociOf(func(c *oci.Config) { c.Platform = "plan9/mips" }),
		},
		"hdfs": {
			{HDFS: &hdfs.Config{Addresses: []string{"nn"}, UserName: "u"}},
			{HDFS: &hdfs.Config{Addresses: []string{"nn", "other"}, UserName: "u"}},
			kerberos("[libdefaults]", ""),
			kerberos("[libdefaults]\n# another realm's servers", ""),
			kerberos("[libdefaults]", "evil/_HOST"),
		},
		"pvc": {claim(volume), claim(t.TempDir())},
	} {
		seen := map[string]int{}
		for i, c := range configs {
			origin, _ := from(t, c)
			if j, ok := seen[origin]; ok {
				t.Errorf("%s: %d and %d have the same origin %s", kind, i, j, origin)
			}
			seen[origin] = i
			if again, _ := from(t, c); again != origin {
				t.Errorf("%s: %d has the origins %s and %s", kind, i, origin, again)
			}
		}
	}
	quiet, _ := from(t, s3of(func(c *s3.Config) { c.Proxy = "http://user:secret@proxy:3128" }))
	if strings.Contains(quiet, "secret") {
		t.Errorf("the proxy's password is in the origin %s", quiet)
	}
}

// The principal is what takes the whole credentials: a name can be claimed.
func TestDifferentCredentialsAreDifferentPrincipals(t *testing.T) {
	metadata := func(role string) string {
		server := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if strings.HasSuffix(r.URL.Path, "/security-credentials/") {
				fmt.Fprint(w, role)
				return
			}
			nethttp.NotFound(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	s3of := func(change func(*s3.Config)) Config {
		c := s3.Config{Endpoint: "https://minio:9000", Bucket: "models"}
		change(&c)
		return Config{S3: &c}
	}
	web := func(role, token string) Config {
		return s3of(func(c *s3.Config) { c.WebIdentity = &s3.WebIdentity{RoleARN: role, TokenFile: file(t, token)} })
	}
	keys := func(pairs ...string) Config { return s3of(func(c *s3.Config) { c.Credentials = mount(t, pairs...) }) }
	httpOf := func(pairs ...string) Config {
		return Config{HTTP: &http.Config{URL: "https://host", Credentials: mount(t, pairs...)}}
	}
	ociOf := func(pairs ...string) Config {
		return Config{OCI: &oci.Config{Registry: "registry:5000", Credentials: mount(t, pairs...)}}
	}
	alice := `{"iss":"https://cluster","sub":"system:serviceaccount:shop:alice","exp":1}`
	different := map[string][]Config{
		"s3": {
			s3of(func(*s3.Config) {}),
			keys("accessKey", "AKIA", "secretKey", "right"),
			keys("accessKey", "AKIA", "secretKey", "guessed"),
			keys("accessKey", "OTHER", "secretKey", "right"),
			web("role", token(alice)),
			web("other", token(alice)),
			web("role", token(strings.ReplaceAll(alice, "alice", "bob"))),
			web("role", token(strings.ReplaceAll(alice, "https://cluster", "https://other"))),
			s3of(func(c *s3.Config) {
				c.WebIdentity = &s3.WebIdentity{RoleARN: "role", TokenFile: file(t, token(alice)), STSEndpoint: "https://own"}
			}),
			s3of(func(c *s3.Config) { c.Instance = &s3.Instance{Endpoint: metadata("role")} }),
			s3of(func(c *s3.Config) { c.Instance = &s3.Instance{Endpoint: metadata("role")} }), // another platform
		},
		"http": {
			{HTTP: &http.Config{URL: "https://host"}},
			httpOf("token", "right"), httpOf("token", "guessed"), httpOf("header", "X: right"),
			httpOf("username", "u", "password", "right"), httpOf("username", "u", "password", "guessed"),
			httpOf("query", "sig=right"), httpOf("query", "sig=guessed"),
		},
		"oci": {
			{OCI: &oci.Config{Registry: "registry:5000"}},
			ociOf("username", "u", "password", "right"), ociOf("username", "u", "password", "guessed"),
			ociOf(".dockerconfigjson", `{"auths":{"registry:5000":{"identitytoken":"right"}}}`),
		},
		"hdfs": {
			{HDFS: &hdfs.Config{Addresses: []string{"nn"}, UserName: "u"}},
			{HDFS: &hdfs.Config{Addresses: []string{"nn"}, UserName: "v"}},
		},
	}
	for kind, configs := range different {
		seen := map[source.Secret]int{}
		for i, c := range configs {
			_, principal := from(t, c)
			if j, ok := seen[principal]; ok {
				t.Errorf("%s: %d and %d are the same principal", kind, i, j)
			}
			seen[principal] = i
		}
	}
	later := strings.ReplaceAll(alice, `"exp":1`, `"exp":2`)
	_, a := from(t, web("role", token(alice)))
	_, b := from(t, web("role", token(later)))
	if a != b {
		t.Error("a token that was renewed is of another principal")
	}
}

func TestCredentialsThatAreMissingAreNotAnonymous(t *testing.T) {
	for name, c := range map[string]Config{
		"s3":           {S3: &s3.Config{Endpoint: "https://minio", Bucket: "b", Credentials: mount(t)}},
		"web identity": {S3: &s3.Config{Endpoint: "https://minio", Bucket: "b", WebIdentity: &s3.WebIdentity{TokenFile: "/nowhere/token"}}},
		"oci":          {OCI: &oci.Config{Registry: "registry:5000", Credentials: mount(t)}},
	} {
		s, err := Open(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := s.Provenance(t.Context()); err == nil {
			t.Errorf("%s: got %+v", name, p)
		}
		_ = s.Close()
	}
	if _, p := from(t, Config{HTTP: &http.Config{URL: "https://host", Credentials: mount(t)}}); p == "" {
		t.Error("http: a Secret without any key is taken for none")
	}
}
