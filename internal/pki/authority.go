// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/kuda-io/kuda/internal/mounted"
)

// Options of an Authority.
type Options struct {
	// Dir is where the kubelet mounts the CA's Secret.
	Dir string
	// Policy; the zero value is DefaultPolicy.
	Policy Policy
	// Clock; nil is the real one.
	Clock clock.Clock
	// Log tells of reloads and of what could not be read.
	Log logr.Logger
}

// Authority is the CA as it is mounted now. It is safe for concurrent use.
type Authority struct {
	dir    string
	policy Policy
	clock  clock.Clock
	log    logr.Logger

	mu          sync.RWMutex
	generations []Generation
	changed     []chan struct{}
	// bundle holds the certificates of bundled.
	bundle  []byte
	bundled []Generation
}

// LoadAuthority reads the mounted CA. It fails when there is none.
func LoadAuthority(opts Options) (*Authority, error) {
	if opts.Policy == (Policy{}) {
		opts.Policy = DefaultPolicy()
	}
	if err := opts.Policy.Validate(); err != nil {
		return nil, err
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	a := &Authority{dir: opts.Dir, policy: opts.Policy, clock: opts.Clock, log: opts.Log}
	if err := a.Reload(); err != nil {
		return nil, err
	}
	return a, nil
}

// Reload reads the mounted CA again. What was loaded before is kept when
// nothing can be read.
func (a *Authority) Reload() error {
	data, err := readDir(a.dir)
	if err != nil {
		return fmt.Errorf("reading the CA from %s: %w", a.dir, err)
	}
	generations, err := ParseGenerations(data)
	if len(generations) == 0 {
		return fmt.Errorf("reading the CA from %s: %w", a.dir, errors.Join(ErrNoGeneration, err))
	}
	if err != nil {
		a.log.Error(err, "left out a CA that could not be read", "dir", a.dir)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if sameNames(a.generations, generations) {
		return nil
	}
	a.generations = generations
	a.log.Info("loaded the CA", "generations", generationNames(generations))
	for _, c := range a.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	return nil
}

// Start reloads the CA whenever the kubelet swaps the mounted files, until the
// context ends. It is a manager.Runnable.
func (a *Authority) Start(ctx context.Context) error {
	return mounted.Watch(ctx, a.dir, func() {
		if err := a.Reload(); err != nil {
			a.log.Error(err, "kept the CA that was loaded before")
		}
	})
}

// NeedLeaderElection reports whether only the leader follows the CA: every replica does.
func (a *Authority) NeedLeaderElection() bool { return false }

// Changed returns a channel that receives after the generations have changed.
// It belongs to the caller; changes in quick succession may be received as one.
func (a *Authority) Changed() <-chan struct{} {
	c := make(chan struct{}, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(a.changed, c)
	return c
}

// Generations returns the loaded generations.
func (a *Authority) Generations() []Generation {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return append([]Generation(nil), a.generations...)
}

// Policy returns the policy in use.
func (a *Authority) Policy() Policy { return a.policy }

// Now is the authority's time.
func (a *Authority) Now() time.Time { return a.clock.Now() }

// Bundle is what clients are to trust now, as PEM. All callers share it, and must not
// change it: each stream of the gateway sends it.
func (a *Authority) Bundle() []byte {
	now := a.clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	alive := unexpiredGenerations(a.generations, now)
	if a.bundle == nil || !sameNames(alive, a.bundled) {
		a.bundle, a.bundled = slices.Clip(Bundle(alive, now)), alive
	}
	return a.bundle
}

// Signer is the generation that signs now.
func (a *Authority) Signer() (Generation, error) {
	return a.policy.Signer(a.Generations(), a.clock.Now())
}

// Leaf returns a source of serving certificates for the names.
func (a *Authority) Leaf(names ...string) *Leaf {
	return &Leaf{authority: a, names: names}
}

// Leaf serves a certificate that renews itself.
type Leaf struct {
	authority *Authority
	names     []string

	mu      sync.Mutex
	current *Certificate
}

// GetCertificate returns a valid certificate; it is the field of that name of a
// tls.Config. A new one is issued when the last is past two thirds of its life or
// another generation signs. When that fails the last one serves until it expires.
func (l *Leaf) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := l.get()
	if err != nil {
		return nil, err
	}
	return &c.TLS, nil
}

// NotAfter is when the certificate in use expires; zero when there is none yet.
func (l *Leaf) NotAfter() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return time.Time{}
	}
	return l.current.NotAfter
}

// TLSConfig is a server's configuration with this certificate.
func (l *Leaf) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: l.GetCertificate, NextProtos: []string{"h2", "http/1.1"}}
}

func (l *Leaf) get() (*Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.authority
	now := a.clock.Now()
	signer, err := a.Signer()
	if err == nil {
		if l.current != nil && l.current.Signer == signer.name && now.Before(l.current.RenewAt) {
			return l.current, nil
		}
		var issued *Certificate
		if issued, err = signer.Issue(a.policy, l.names, now); err == nil {
			l.current = issued
			a.log.V(1).Info("issued a certificate", "name", l.names[0], "signer", signer.name, "notAfter", issued.NotAfter)
			return issued, nil
		}
	}
	if l.current != nil && now.Before(l.current.NotAfter) {
		return l.current, nil
	}
	return nil, fmt.Errorf("issuing a certificate for %s: %w", strings.Join(l.names, ", "), err)
}

// readDir reads the plain files of a directory as the kubelet lays it out:
// every key is a link; names that begin with two dots are the kubelet's own.
func readDir(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), "..") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed while the directory was read
		}
		if err != nil {
			return nil, err
		}
		data[e.Name()] = bytes.TrimSpace(content)
	}
	return data, nil
}

func sameNames(a, b []Generation) bool {
	return strings.Join(generationNames(a), ",") == strings.Join(generationNames(b), ",")
}

func generationNames(generations []Generation) []string {
	out := make([]string, 0, len(generations))
	for _, g := range generations {
		out = append(out, g.name)
	}
	return out
}
