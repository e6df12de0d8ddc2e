// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/block"
	"github.com/kuda-io/kuda/internal/source/hdfs/rpc"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

func TestReplicasAreOrderedByFailureLocalityAndLoad(t *testing.T) {
	for name, c := range map[string]struct {
		candidates []candidate
		want       []string
	}{
		"the namenode's order": {[]candidate{{address: "b", near: true}, {address: "a", near: true}, {address: "c"}},
			[]string{"b", "a", "c"}},
		"failed ones last": {[]candidate{{address: "a", near: true, failed: true}, {address: "b"}}, []string{"b", "a"}},
		"local ones first": {[]candidate{{address: "a", near: true}, {address: "b", local: true, busy: 9}}, []string{"b", "a"}},
		"ranges spread": {[]candidate{{address: "a", near: true, busy: 2}, {address: "b", near: true, busy: 1}},
			[]string{"b", "a"}},
		"but not to another rack":      {[]candidate{{address: "a", near: true, busy: 2}, {address: "b"}}, []string{"a", "b"}},
		"a failed local one is no use": {[]candidate{{address: "a", local: true, failed: true}, {address: "b"}}, []string{"b", "a"}},
	} {
		if got := orderOf(c.candidates); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestPatienceIsLearntAndBounded(t *testing.T) {
	times := func(d time.Duration) []time.Duration { return slices.Repeat([]time.Duration{d}, 100) }
	for name, c := range map[string]struct {
		times []time.Duration
		want  time.Duration
	}{
		"nothing known": {nil, firstPatience},
		"fast":          {times(time.Millisecond), leastPatience},
		"slow":          {times(300 * time.Millisecond), 900 * time.Millisecond},
		"hopeless":      {times(time.Minute), mostPatience},
		"a few outliers": {append(slices.Repeat([]time.Duration{100 * time.Millisecond}, 97), time.Minute, time.Minute, time.Minute),
			300 * time.Millisecond},
	} {
		if got := patienceOf(c.times); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestADatanodeThatFailedIsAvoidedForAWhileOnly(t *testing.T) {
	var h health
	nodes := []wire.Datanode{{Address: "203.0.113.1:1", Rack: "/r"}, {Address: "203.0.113.2:1", Rack: "/r"}}
	h.recordFailure(nodes[0].Address)
	if got := h.orderReplicas(nodes, time.Now()); got[0] != nodes[1].Address {
		t.Errorf("at once: %v", got)
	}
	if got := h.orderReplicas(nodes, time.Now().Add(avoid+time.Second)); got[0] != nodes[0].Address {
		t.Errorf("later: %v", got)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	good := Config{Addresses: []string{"nn"}, UserName: "u"}
	if s, err := New(good); err != nil || s.Identity() != "hdfs://nn:8020" {
		t.Fatalf("got %v", err)
	}
	for name, change := range map[string]func(*Config){
		"no address":                  func(c *Config) { c.Addresses = nil },
		"an URL":                      func(c *Config) { c.Addresses = []string{"hdfs://nn:8020"} },
		"no port after the colon":     func(c *Config) { c.Addresses = []string{"nn:"} },
		"no user":                     func(c *Config) { c.UserName = "" },
		"no principal":                func(c *Config) { c.Kerberos = &Kerberos{} },
		"an unknown protection":       func(c *Config) { c.DataTransferProtection = "secret" },
		"protection without Kerberos": func(c *Config) { c.DataTransferProtection = "privacy" },
	} {
		c := good
		change(&c)
		if _, err := New(c); !errors.Is(err, source.ErrMisconfigured) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestIdentitiesDifferWhereverFilesMayDiffer(t *testing.T) {
	base := wire.FileStatus{ID: 1, Modified: 2, Length: 3}
	first := entryIdentity(&base)
	if !first.Strong() {
		t.Errorf("%s is weak", first)
	}
	for name, change := range map[string]func(*wire.FileStatus){
		"another inode": func(s *wire.FileStatus) { s.ID++ }, "another time": func(s *wire.FileStatus) { s.Modified++ },
		"another length": func(s *wire.FileStatus) { s.Length++ },
	} {
		other := base
		change(&other)
		if entryIdentity(&other) == first {
			t.Errorf("%s: the same identity", name)
		}
	}
	base.ID = 0
	if entryIdentity(&base).Strong() {
		t.Error("without an inode it is strong")
	}
}

func TestTheInodeThatWasListedIsRead(t *testing.T) {
	for path, want := range map[string]string{"/a/b": "/.reserved/.inodes/7", "/a/.snapshot/s/b": "/a/.snapshot/s/b",
		"/.snapshot/s": "/.snapshot/s"} {
		if got := inodePath(source.Entry{Key: path, Identity: "7-1-2"}); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if got := inodePath(source.Entry{Key: "/a", Identity: "W/0-1-2"}); got != "/a" {
		t.Errorf("without a number: got %s", got)
	}
}

func TestUnreadableOrChangedFilesAreErrors(t *testing.T) {
	e := source.Entry{Size: 10}
	for name, c := range map[string]struct {
		locations *wire.Locations
		want      error
	}{
		"gone":            {nil, source.ErrChanged},
		"being written":   {&wire.Locations{Length: 10, Open: true}, source.ErrTemporary},
		"encryption zone": {&wire.Locations{Length: 10, Encrypted: true}, source.ErrMisconfigured},
		"erasure coded":   {&wire.Locations{Length: 10, Striped: true}, source.ErrMisconfigured},
		"longer":          {&wire.Locations{Length: 11}, source.ErrChanged},
		"the same":        {&wire.Locations{Length: 10}, nil},
	} {
		if err := checkLocations(c.locations, e); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestExceptionsHaveTheirClass(t *testing.T) {
	for exception, want := range map[string]error{
		"java.io.FileNotFoundException":                               source.ErrNotFound,
		"org.apache.hadoop.security.AccessControlException":           source.ErrDenied,
		"org.apache.hadoop.security.authorize.AuthorizationException": source.ErrDenied,
		"org.apache.hadoop.ipc.StandbyException":                      source.ErrTemporary,
		"org.apache.hadoop.ipc.RetriableException":                    source.ErrTemporary,
		"org.apache.hadoop.hdfs.server.namenode.SafeModeException":    source.ErrTemporary,
		"org.apache.hadoop.security.token.SecretManager$InvalidToken": source.ErrTemporary,
		"org.apache.hadoop.fs.InvalidPathException":                   source.ErrMisconfigured,
		"java.io.IOException":                                         source.ErrTemporary,
		"":                                                            source.ErrTemporary,
	} {
		s := &Source{}
		err := s.classifyError(t.Context(), "testing", &rpc.RemoteError{Exception: exception, Message: "text\nat java"})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v", exception, err)
		}
	}
}

func TestPrivilegedPortsNeedNoHandshakeUnlessItIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		protector *protector
		address   string
		want      bool
	}{
		{&protector{known: true}, "dn:9866", false},
		{&protector{known: true, kerberos: true}, "dn:9866", true},
		{&protector{known: true, kerberos: true}, "dn:1004", false},
		{&protector{known: true, kerberos: true, explicit: true, protection: block.Integrity}, "dn:1004", true},
	} {
		security, err := c.protector.securityFor(t.Context(), c.address)
		if err != nil || (security != nil) != c.want || (security != nil && security.Protection != c.protector.protection) {
			t.Errorf("%s: got %+v, %v", c.address, security, err)
		}
	}
}

func TestNamesThatLeadToThePodItselfAreRefused(t *testing.T) {
	s, err := New(Config{Addresses: []string{"namenode.example.com"}, UserName: "kuda"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, dial := range []dialer{s.namenodes.dial, s.datanodes.dial} {
		for _, address := range []string{"127.0.0.1:1", "[::1]:1", "169.254.169.254:80"} {
			if _, err := dial(t.Context(), "tcp", address); err == nil || !strings.Contains(err.Error(), "address of the pod itself") {
				t.Errorf("%s: got %v", address, err)
			}
		}
	}
}
