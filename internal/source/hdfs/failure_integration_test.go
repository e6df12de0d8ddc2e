// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package hdfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/hdfstest"
)

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// list returns the entries at a path, and the error they end with.
func list(t testing.TB, s *Source, path string) (entries []source.Entry, err error) {
	t.Helper()
	for e, err := range s.List(t.Context(), path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func one(t testing.TB, s *Source, path string) source.Entry {
	t.Helper()
	entries, err := list(t, s, path)
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %v, %v", entries, err)
	}
	return entries[0]
}

func read(t testing.TB, s *Source, e source.Entry) ([]byte, error) {
	t.Helper()
	body, err := s.Open(t.Context(), e, 0, e.Size)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// replicas are the files in which datanodes keep blocks of a content.
func replicas(t *testing.T, server *hdfstest.Server, content []byte) (paths []string) {
	t.Helper()
	for _, d := range server.Datanodes {
		err := filepath.WalkDir(d.Dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasPrefix(entry.Name(), "blk_") || strings.HasSuffix(entry.Name(), ".meta") {
				return err
			}
			if body, err := os.ReadFile(path); err == nil && bytes.Equal(body, content) {
				paths = append(paths, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// corrupt flips a bit of a file.
func corrupt(t *testing.T, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
}

func TestABrokenReplicaIsReadAsIfItWereWhole(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2")
	content := random(3<<20 + 12_345)
	server.PutReplicated(t, "broken/file", content, 2)
	paths := replicas(t, server, content)
	if len(paths) != 2 {
		t.Fatalf("the replicas are %v", paths)
	}
	const at = 2<<20 + 77
	corrupt(t, paths[0], at)
	// Whichever replica comes first, eight readings meet the broken one.
	for range 8 {
		s := open(t, ownersConfig(server))
		e := one(t, s, "broken/file")
		got, err := read(t, s, e)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("with a whole replica left: %d bytes, %v", len(got), err)
		}
	}
	corrupt(t, paths[1], at)
	s := open(t, ownersConfig(server))
	e := one(t, s, "broken/file")
	if got, err := read(t, s, e); !errors.Is(err, source.ErrTemporary) || !bytes.HasPrefix(content, got) || len(got) > at {
		t.Errorf("with none left: %d bytes, %v", len(got), err)
	}
	// A range that has the broken chunk in its middle, and one that begins in it.
	for _, r := range [][2]int64{{at - 1000, 2000}, {at + 1, 10}} {
		body, err := s.Open(t.Context(), e, r[0], r[1])
		if err == nil {
			var got []byte
			got, err = io.ReadAll(body)
			body.Close()
			if !bytes.HasPrefix(content[r[0]:], got) {
				t.Errorf("the range %v has wrong bytes", r)
			}
		}
		if !errors.Is(err, source.ErrTemporary) {
			t.Errorf("the range %v: got %v", r, err)
		}
	}
	// What is beside it can be read.
	body, err := s.Open(t.Context(), e, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content[:1<<20]) {
		t.Errorf("the range before it: %d bytes, %v", len(got), err)
	}
}

func TestADatanodeThatDiesCutsNoFileShort(t *testing.T) {
	server := hdfstest.Start(t, "replication=2")
	content := random(24 << 20)
	server.PutReplicated(t, "dying/file", content, 2)
	s := open(t, ownersConfig(server))
	e := one(t, s, "dying/file")
	body, err := s.Open(t.Context(), e, 0, e.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got := make([]byte, 1<<20, len(content))
	if _, err := io.ReadFull(body, got); err != nil {
		t.Fatal(err)
	}
	serving := body.(*reader).replica.address
	for i, d := range server.Datanodes {
		if d.Address == serving {
			server.Do(t, "datanode/stop?"+string(rune('0'+i)))
		}
	}
	rest, err := io.ReadAll(body)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	// And the next reader does not wait for it.
	if got, err := read(t, s, e); err != nil || !bytes.Equal(got, content) {
		t.Errorf("afterwards: %d bytes, %v", len(got), err)
	}
}

func TestAFailoverInTheMiddleOfAFileIsNotNoticed(t *testing.T) {
	server := hdfstest.Shared(t, "ha=true", "replication=1", "block-size=1048576")
	content := random(8 << 20)
	server.PutReplicated(t, "failover/file", content, 1)
	s := open(t, ownersConfig(server))
	e := one(t, s, "failover/file")
	body, err := s.Open(t.Context(), e, 0, e.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got := make([]byte, 1<<20+1, len(content))
	if _, err := io.ReadFull(body, got); err != nil {
		t.Fatal(err)
	}
	for range 2 { // there, and back again
		server.Do(t, "failover")
		again, err := s.Open(t.Context(), e, 0, 1<<20)
		if err != nil {
			t.Fatalf("opening after the failover: %v", err)
		}
		again.Close()
		if now := one(t, s, "failover/file"); now.Identity != e.Identity {
			t.Errorf("it is %s now, and was %s", now.Identity, e.Identity)
		}
	}
	rest, err := io.ReadAll(body)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestAFileThatIsWrittenIsNotReadHalf(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2")
	server.Mkdir(t, "writing")
	end := server.PutOpen(t, "writing/file", random(1<<20+1000))
	s := open(t, ownersConfig(server))
	if _, err := read(t, s, one(t, s, "writing/file")); !errors.Is(err, source.ErrTemporary) ||
		!strings.Contains(err.Error(), "still being written") {
		t.Errorf("got %v", err)
	}
	end()
}

// The namenode counts complete blocks only, so that this one has a size of zero.
func TestAFileWhoseFirstBlockIsWrittenIsNotEmpty(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2")
	server.Mkdir(t, "begun")
	server.Put(t, "begun/empty", nil)
	end := server.PutOpen(t, "begun/file", random(1000))
	s := open(t, ownersConfig(server))
	for _, path := range []string{"begun", "begun/file"} {
		entries, err := list(t, s, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if open := errors.Is(e.Fault, source.ErrTemporary); e.Size != 0 || open != (e.Key == "/begun/file") {
				t.Errorf("%s: got %d bytes, %v", e.Key, e.Size, e.Fault)
			}
		}
	}
	end()
}

func TestAppendedFilesAreNotTheOnesThatWereListed(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2")
	server.Put(t, "appended/file", []byte("one"))
	s := open(t, ownersConfig(server))
	e := one(t, s, "appended/file")
	if _, err := read(t, s, e); err != nil { // its locations are known now
		t.Fatal(err)
	}
	server.Append(t, "appended/file", []byte(" two"))
	if _, err := read(t, s, e); !errors.Is(err, source.ErrChanged) {
		t.Errorf("got %v", err)
	}
	if got, err := read(t, s, one(t, s, "appended/file")); err != nil || string(got) != "one two" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestModesAreKept(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2")
	server.Put(t, "modes/program", []byte("#!"))
	server.Chmod(t, "modes/program", 0o755)
	if e := one(t, open(t, ownersConfig(server)), "modes/program"); e.Mode != 0o755 {
		t.Errorf("got %v", e.Mode)
	}
}

func TestErrorsInSafeModeAreTemporary(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2")
	content := random(100_000)
	server.Put(t, "safe/file", content)
	server.Do(t, "safemode?on")
	defer server.Do(t, "safemode?off")
	s := open(t, ownersConfig(server))
	if got, err := read(t, s, one(t, s, "safe/file")); (err != nil && !source.Temporary(err)) || (err == nil && !bytes.Equal(got, content)) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestFailuresOfKerberosNameWhatToCorrect(t *testing.T) {
	server := hdfstest.Shared(t, "replication=2", "kerberos=true", "protection=privacy", "rpc-protection=privacy")
	config := func(change func(k *Kerberos)) Config {
		c := ownersConfig(server)
		k := *c.Kerberos
		change(&k)
		c.Kerberos = &k
		return c
	}
	empty := t.TempDir()
	for name, c := range map[string]struct {
		config Config
		class  error
		says   []string
	}{
		"another principal's keytab": {config(func(k *Kerberos) {
			k.Keytab.Mount.Dir, k.Keytab.Key = filepath.Split(server.Kerberos.StrangerKeytab)
		}),
			source.ErrCredentials, []string{`Secret "hdfs"`, "kuda@KUDA.TEST"}},
		"an unknown principal": {config(func(k *Kerberos) { k.Principal = "stranger@KUDA.TEST" }), source.ErrCredentials,
			[]string{"stranger@KUDA.TEST"}},
		"no keytab": {config(func(k *Kerberos) { k.Keytab.Mount.Dir = empty }), source.ErrCredentials, []string{`Secret "hdfs"`}},
		"no keytab at all": {config(func(k *Kerberos) { k.Keytab.Mount.Dir, k.Keytab.Key = filepath.Split(server.Kerberos.Krb5Conf) }),
			source.ErrCredentials, []string{`Secret "hdfs"`, "no keytab"}},
		"an unknown service": {config(func(k *Kerberos) { k.ServicePrincipalName = "namenode/_HOST" }), source.ErrCredentials,
			[]string{"servicePrincipalName"}},
		"no Kerberos": {Config{Addresses: server.Addresses, UserName: server.User}, source.ErrDenied, []string{"Kerberos"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := list(t, open(t, c.config), "/")
			if !errors.Is(err, c.class) {
				t.Fatalf("got %v, want %v", err, c.class)
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not name %s", err, text)
				}
			}
		})
	}
}

func TestKerberosAgainstAnInsecureClusterIsMisconfigured(t *testing.T) {
	secure := hdfstest.Shared(t, "replication=2", "kerberos=true", "protection=privacy", "rpc-protection=privacy")
	plain := hdfstest.Shared(t, "replication=2")
	c := ownersConfig(secure)
	c.Addresses = plain.Addresses
	if _, err := list(t, open(t, c), "/"); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}
