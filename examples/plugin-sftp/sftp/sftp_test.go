// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/kuda-io/kuda/plugin"
)

// fakeServer is an SSH server in this process. OpenSSH takes passwords of the
// system's users only, and shows one host key.
type fakeServer struct {
	addr    string
	host    ssh.Signer
	accepts string // the password
}

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err1 := ssh.NewSignerFromKey(private)
	block, err2 := ssh.MarshalPrivateKey(private, "")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func startFake(t *testing.T, password string) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &fakeServer{addr: l.Addr().String(), accepts: password}
	s.host, _ = newKey(t)
	config := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, got []byte) (*ssh.Permissions, error) {
		if string(got) != s.accepts {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	config.AddHostKey(s.host)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, config)
		}
	}()
	return s
}

func serve(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		}()
		handler := sftp.NewRequestServer(channel, sftp.InMemHandler())
		go func() { _ = handler.Serve() }()
	}
}

func (s *fakeServer) line() string { return knownhosts.Line([]string{s.addr}, s.host.PublicKey()) }

// config is one with a Secret of these files.
func (s *fakeServer) config(t *testing.T, files map[string]string) plugin.Config {
	t.Helper()
	dir := t.TempDir()
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return plugin.Config{Settings: map[string]string{"address": s.addr, "user": "models"},
		Secret: &plugin.Mount{Dir: dir, Name: `Secret "sftp"`}}
}

// signIn lists the empty root: ErrNotFound means that everything before was right.
func signIn(t *testing.T, c plugin.Config) error {
	t.Helper()
	s, err := New(c)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for _, err := range s.List(t.Context(), "/") {
		if err != nil && !errors.Is(err, plugin.ErrNotFound) {
			return err
		}
	}
	return nil
}

func TestServersThatCannotProveWhoTheyAreGetNoPassword(t *testing.T) {
	s, other := startFake(t, "s3cret"), startFake(t, "s3cret")
	for name, c := range map[string]struct {
		files map[string]string
		want  error
		says  string
	}{
		"all is right":        {map[string]string{"password": "s3cret\n", "known_hosts": s.line()}, nil, ""},
		"wrong password":      {map[string]string{"password": "wrong", "known_hosts": s.line()}, plugin.ErrDenied, `Secret "sftp"`},
		"no password, no key": {map[string]string{"known_hosts": s.line()}, plugin.ErrCredentials, "ssh-privatekey"},
		"no known_hosts":      {map[string]string{"password": "s3cret"}, plugin.ErrCredentials, "known_hosts"},
		"unknown host":        {map[string]string{"password": "s3cret", "known_hosts": other.line()}, plugin.ErrMisconfigured, "ssh-keyscan"},
		"another host key": {map[string]string{"password": "s3cret",
			"known_hosts": strings.Replace(other.line(), knownhosts.Normalize(other.addr), knownhosts.Normalize(s.addr), 1)},
			plugin.ErrMisconfigured, "another one"},
		"broken known_hosts": {map[string]string{"password": "s3cret", "known_hosts": "nonsense"}, plugin.ErrMisconfigured, "known_hosts"},
		"broken key":         {map[string]string{"ssh-privatekey": "nonsense", "known_hosts": s.line()}, plugin.ErrCredentials, "ssh-privatekey"},
	} {
		t.Run(name, func(t *testing.T) {
			err := signIn(t, s.config(t, c.files))
			if !errors.Is(err, c.want) || (err != nil && !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the message %q has the password", err)
			}
		})
	}
}

func TestHostKeysMayComeFromTheConfigMap(t *testing.T) {
	s := startFake(t, "s3cret")
	c := s.config(t, map[string]string{"password": "s3cret"})
	hosts := s.config(t, map[string]string{"known_hosts": s.line(), "hosts": s.line()}).Secret
	for _, key := range []string{"", "ca.crt", "hosts"} {
		c.CA, c.CAKey = hosts, key
		if err := signIn(t, c); err != nil {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestRotatedPasswordIsUsedByTheNextConnection(t *testing.T) {
	s := startFake(t, "second")
	c := s.config(t, map[string]string{"password": "first", "known_hosts": s.line()})
	source, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	list := func() error {
		for _, err := range source.List(t.Context(), "/") {
			return err
		}
		return nil
	}
	if err := list(); !errors.Is(err, plugin.ErrDenied) {
		t.Fatalf("with the old password: %v", err)
	}
	if err := os.WriteFile(filepath.Join(c.Secret.Dir, "password"), []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := list(); !errors.Is(err, plugin.ErrNotFound) {
		t.Errorf("with the new password: %v", err)
	}
}

func TestMistakesInSettingsAreNamed(t *testing.T) {
	secret := &plugin.Mount{Dir: t.TempDir(), Name: "the Secret"}
	for name, c := range map[string]struct {
		settings map[string]string
		want     error
		says     string
	}{
		"no address":   {map[string]string{"user": "u"}, plugin.ErrMisconfigured, "address"},
		"bad port":     {map[string]string{"user": "u", "address": "h:x"}, plugin.ErrMisconfigured, "address"},
		"no user":      {map[string]string{"address": "h"}, plugin.ErrMisconfigured, "user"},
		"unknown":      {map[string]string{"address": "h", "user": "u", "host": "h"}, plugin.ErrMisconfigured, `"host"`},
		"connections":  {map[string]string{"address": "h", "user": "u", "connections": "99"}, plugin.ErrMisconfigured, "1 to 16"},
		"all is right": {map[string]string{"address": "h", "user": "u", "connections": "2", "root": "/srv/"}, nil, ""},
	} {
		_, err := New(plugin.Config{Settings: c.settings, Secret: secret})
		if !errors.Is(err, c.want) || (err != nil && !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(plugin.Config{Settings: map[string]string{"address": "h", "user": "u"}}); !errors.Is(err, plugin.ErrCredentials) {
		t.Errorf("no Secret: got %v", err)
	}
}

func TestRemotePathsDoNotLeaveTheRoot(t *testing.T) {
	s := &Source{settings: settings{root: "/srv/models"}}
	for given, want := range map[string]string{
		"": "/srv/models", "/": "/srv/models", "a/b": "/srv/models/a/b", "/a/": "/srv/models/a",
		"../etc": "/srv/models/etc", "a/../../../etc": "/srv/models/etc",
	} {
		if got := s.absolute(given); got != want {
			t.Errorf("%q is %q, not %q", given, got, want)
		}
	}
}

func TestIdentityDoesNotDependOnCredentials(t *testing.T) {
	for _, c := range []struct {
		s    settings
		want string
	}{
		{settings{address: "h:22", user: "a", root: "/srv"}, "sftp://h:22/srv"},
		{settings{address: "h:22", user: "b", root: "/srv"}, "sftp://h:22/srv"},
		{settings{address: "h:22", user: "b", root: "."}, "sftp://b@h:22/."},
	} {
		if got := c.s.identity(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// infoAt is a file as the server describes it.
type infoAt struct {
	os.FileInfo
	modified time.Time
}

func (i infoAt) ModTime() time.Time { return i.modified }
func (i infoAt) Size() int64        { return 7 }

func TestRecentlyChangedFileHasAWeakIdentity(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := &Source{now: func() time.Time { return now }}
	for age, strong := range map[time.Duration]bool{
		0: false, time.Second: false, settled: true, time.Hour: true, -time.Hour: false,
	} {
		info := infoAt{modified: now.Add(-age)}
		id := s.identity(info)
		if id.Strong() != strong {
			t.Errorf("a file of the age %v has the identity %q", age, id)
		}
		// What was listed as weak is still the same file when it is strong.
		if !same(plugin.Entry{Size: 7, Identity: id}, info) {
			t.Errorf("a file of the age %v is taken for another one", age)
		}
	}
}

func TestCancelledCallDoesNotWaitForTheConnection(t *testing.T) {
	p := &pool{max: 1, dial: func(ctx context.Context) (*connection, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.close()
}
