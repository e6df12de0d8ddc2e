// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// minutes is a policy under which a CA lasts nine minutes and a certificate one.
var minutes = Policy{Lifetime: 9 * time.Minute, Overlap: 2 * time.Minute, Leaf: time.Minute, Backdate: time.Second}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func write(t *testing.T, dir string, generations ...Generation) {
	t.Helper()
	for _, g := range generations {
		data, err := g.SecretData()
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range data {
			if err := os.WriteFile(filepath.Join(dir, key), value, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func generation(t *testing.T, now time.Time) Generation {
	t.Helper()
	g, err := NewGeneration(minutes, now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// handshake lets a client that trusts the bundle connect to the leaf.
func handshake(leaf *Leaf, bundle []byte, now time.Time) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(bundle)
	client, server := net.Pipe()
	defer func() { _, _ = client.Close(), server.Close() }()
	go func() { _ = tls.Server(server, leaf.TLSConfig()).Handshake() }()
	return tls.Client(client, &tls.Config{
		RootCAs: pool, ServerName: "kuda-gateway", MinVersion: tls.VersionTLS13, Time: func() time.Time { return now },
	}).Handshake()
}

func TestAClientWithABundleAsOldAsTheOverlapIsNeverCutOffOverManyRotations(t *testing.T) {
	clock := clocktesting.NewFakeClock(start)
	dir := t.TempDir()
	generations := []Generation{generation(t, start)}
	write(t, dir, generations...)
	a, err := LoadAuthority(Options{Dir: dir, Policy: minutes, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	leaf := a.Leaf("kuda-gateway")

	type learned struct {
		at     time.Time
		bundle []byte
	}
	history := []learned{{start, a.Bundle()}}
	signers, leaves := map[string]bool{}, map[time.Time]bool{}
	for now := start; now.Before(start.Add(60 * time.Minute)); now = now.Add(5 * time.Second) {
		clock.SetTime(now)
		plan := minutes.Plan(generations, now)
		if plan.Add {
			generations = append(generations, generation(t, now))
			write(t, dir, generations...)
		}
		for _, gone := range plan.Drop {
			for _, key := range gone.SecretKeys() {
				if err := os.Remove(filepath.Join(dir, key)); err != nil {
					t.Fatal(err)
				}
			}
			kept := generations[:0:0]
			for _, g := range generations {
				if g.Name() != gone.Name() {
					kept = append(kept, g)
				}
			}
			generations = kept
		}
		if err := a.Reload(); err != nil {
			t.Fatal(err)
		}
		history = append(history, learned{now, a.Bundle()})
		for history[0].at.Before(now.Add(-minutes.Overlap + time.Second)) {
			history = history[1:]
		}
		if err := handshake(leaf, history[0].bundle, now); err != nil {
			t.Fatalf("after %s, with a bundle learned %s ago: %v", now.Sub(start), now.Sub(history[0].at), err)
		}
		signers[leaf.current.Signer] = true
		leaves[leaf.NotAfter()] = true
		if len(generations) > 3 {
			t.Fatalf("after %s there are %d generations", now.Sub(start), len(generations))
		}
	}
	if len(signers) < 8 || len(leaves) < 60 {
		t.Errorf("in an hour %d generations signed %d certificates; want at least 8 and 60", len(signers), len(leaves))
	}
}

func TestANewCADoesNotSignBeforeClientsCanKnowIt(t *testing.T) {
	old := generation(t, start)
	renewal := start.Add(6 * time.Minute)
	next := generation(t, renewal)
	both := []Generation{next, old}
	for _, c := range []struct {
		name string
		at   time.Time
		have []Generation
		want string
	}{
		{"the first signs at once", start, []Generation{old}, old.Name()},
		{"the next one is only published", renewal.Add(119 * time.Second), both, old.Name()},
		{"and signs after the overlap", renewal.Add(2 * time.Minute), both, next.Name()},
		{"and signs early when the old one expired", start.Add(9 * time.Minute), both, next.Name()},
		{"none is left", start.Add(time.Hour), both, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			signer, err := minutes.Signer(c.have, c.at)
			if (err != nil) != (c.want == "") || signer.Name() != c.want {
				t.Errorf("got %q, %v; want %q", signer.Name(), err, c.want)
			}
		})
	}
}

func TestTheNextCAIsMadeInTimeAndExpiredOnesGo(t *testing.T) {
	old := generation(t, start)
	next := generation(t, start.Add(6*time.Minute))
	for _, c := range []struct {
		name string
		at   time.Time
		have []Generation
		add  bool
		drop int
	}{
		{"nothing is due at first", start, []Generation{old}, false, 0},
		{"a third before the end the next is made", start.Add(6 * time.Minute), []Generation{old}, true, 0},
		{"once", start.Add(6 * time.Minute), []Generation{old, next}, false, 0},
		{"the expired one goes", start.Add(9 * time.Minute), []Generation{old, next}, false, 1},
		{"a cluster that slept gets a new one", start.Add(time.Hour), []Generation{old, next}, true, 2},
		{"and so does an emptied Secret", start, nil, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := minutes.Plan(c.have, c.at)
			if plan.Add != c.add || len(plan.Drop) != c.drop {
				t.Errorf("got add %t, drop %d; want %t, %d", plan.Add, len(plan.Drop), c.add, c.drop)
			}
			if !plan.Next.After(c.at) {
				t.Errorf("the next look is at %s, not after %s", plan.Next, c.at)
			}
		})
	}
}

func TestABrokenEntryOfTheSecretDoesNotTakeTheOthersAway(t *testing.T) {
	dir := t.TempDir()
	g := generation(t, time.Now())
	write(t, dir, g)
	for name, content := range map[string]string{"ca-broken.crt": "x", "ca-broken.key": "y", "notes.txt": "z"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := LoadAuthority(Options{Dir: dir, Policy: minutes})
	if err != nil {
		t.Fatal(err)
	}
	if signer, err := a.Signer(); err != nil || signer.Name() != g.Name() {
		t.Errorf("got %q, %v; want %q", signer.Name(), err, g.Name())
	}
}

func TestAnEmptiedMountDoesNotTakeTheCAAway(t *testing.T) {
	dir := t.TempDir()
	g := generation(t, time.Now())
	write(t, dir, g)
	a, err := LoadAuthority(Options{Dir: dir, Policy: minutes})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range g.SecretKeys() {
		if err := os.Remove(filepath.Join(dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Reload(); err == nil {
		t.Error("reloading nothing succeeded")
	}
	if _, err := a.Leaf("kuda-gateway").GetCertificate(nil); err != nil {
		t.Errorf("the CA that was loaded before is gone: %v", err)
	}
}

func TestAPolicyThatCouldCutClientsOffIsRefused(t *testing.T) {
	if err := DefaultPolicy().Validate(); err != nil {
		t.Errorf("the default policy: %v", err)
	}
	for name, p := range map[string]Policy{
		"no overlap":         {Lifetime: time.Hour, Leaf: time.Minute},
		"overlap too long":   {Lifetime: time.Hour, Overlap: 20 * time.Minute, Leaf: time.Minute},
		"negative backdate":  {Lifetime: time.Hour, Overlap: time.Minute, Leaf: time.Minute, Backdate: -1},
		"no lifetime at all": {},
	} {
		if err := p.Validate(); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestACertificateNeverOutlivesItsCA(t *testing.T) {
	g := generation(t, start)
	c, err := g.Issue(minutes, []string{"kuda-gateway"}, g.NotAfter().Add(-30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if c.NotAfter.After(g.NotAfter()) {
		t.Errorf("the certificate ends at %s, its CA at %s", c.NotAfter, g.NotAfter())
	}
}
