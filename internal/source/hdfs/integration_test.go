// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package hdfs

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/hdfstest"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
)

func TestContractOnHDFS(t *testing.T) { contract(t, hdfstest.Shared(t, "replication=2")) }

func TestContractOnHDFSWithKerberosAndPrivacy(t *testing.T) {
	contract(t, hdfstest.Shared(t, "replication=2", "kerberos=true", "protection=privacy", "rpc-protection=privacy"))
}

func contract(t *testing.T, server *hdfstest.Server) {
	var others []string
	for _, d := range server.Datanodes {
		others = append(others, d.Address)
	}
	sourcetest.Run(t, sourcetest.Harness{
		Addr: server.Addresses[0], Others: others,
		OpenVia:    func(t *testing.T, via map[string]string) source.Source { return openVia(t, ownersConfig(server), via) },
		OpenDenied: func(t *testing.T) source.Source { return openVia(t, strangersConfig(server), nil) },
		Put:        func(t *testing.T, path string, content []byte) { server.Put(t, path, content) },
		PutAll:     func(t *testing.T, files map[string][]byte) { server.PutAll(t, files) },
		Delete:     func(t *testing.T, path string) { server.Delete(t, path) },
		Mkdir:      func(t *testing.T, path string) { server.Mkdir(t, path) },
		Refuses:    refuses,
	})
}

// refuses reports whether HDFS refuses a name.
func refuses(path string) bool {
	return strings.Contains(path, ":") || slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return len(s) > 255 })
}

func ownersConfig(s *hdfstest.Server) Config {
	if s.Kerberos == nil {
		return Config{Addresses: s.Addresses, UserName: s.User}
	}
	return kerberosConfig(s, s.Kerberos.Principal, s.Kerberos.Keytab)
}

func strangersConfig(s *hdfstest.Server) Config {
	if s.Kerberos == nil {
		return Config{Addresses: s.Addresses, UserName: s.Stranger}
	}
	return kerberosConfig(s, s.Kerberos.StrangerPrincipal, s.Kerberos.StrangerKeytab)
}

func kerberosConfig(s *hdfstest.Server, principal, keytab string) Config {
	file := func(path, name string) File {
		return File{Mount: source.Mount{Dir: filepath.Dir(path), Name: name}, Key: filepath.Base(path)}
	}
	return Config{Addresses: s.Addresses, DataTransferProtection: s.Kerberos.Protection, Kerberos: &Kerberos{
		Principal: principal, Keytab: file(keytab, `Secret "hdfs"`), Krb5Conf: file(s.Kerberos.Krb5Conf, `ConfigMap "krb5"`)}}
}

func open(t testing.TB, c Config) *Source { return openVia(t, c, nil) }

// openVia opens a source that reaches addresses through others.
func openVia(t testing.TB, c Config, via map[string]string) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if via != nil {
		dial := (&net.Dialer{}).DialContext // the way is on this machine, which the settings do not name
		s.namenodes.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, network, via[address])
		}
		s.datanodes.dial = s.namenodes.dial
	}
	return s
}
