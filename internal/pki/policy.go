// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrNoGeneration says that there is no CA, or that all have expired.
var ErrNoGeneration = errors.New("no unexpired CA")

// Policy says how long things last.
type Policy struct {
	// Lifetime of a CA. The next one is made after two thirds of it.
	Lifetime time.Duration
	// Overlap is how long a new CA is only published before it signs. It has to
	// outlast the slowest way by which a client learns a bundle: the kubelet
	// refreshes a mounted Secret within about two minutes, a runtime hears of it
	// when it is connected to the gateway.
	Overlap time.Duration
	// Leaf is the lifetime of a serving certificate.
	Leaf time.Duration
	// Backdate is how far the beginning of a certificate's validity lies in the
	// past, for clients whose clocks are slow.
	Backdate time.Duration
}

const day = 24 * time.Hour

// DefaultPolicy is what an installation uses.
func DefaultPolicy() Policy {
	return Policy{Lifetime: 3 * 365 * day, Overlap: 90 * day, Leaf: day, Backdate: 5 * time.Minute}
}

// Validate says what is wrong with the policy.
func (p Policy) Validate() error {
	if p.Lifetime <= 0 || p.Overlap <= 0 || p.Leaf <= 0 || p.Backdate < 0 {
		return errors.New("CA lifetime, overlap and leaf lifetime must be positive")
	}
	if need := p.Overlap + p.Leaf; need > p.Lifetime/3 {
		return fmt.Errorf("overlap and leaf lifetime (%s) must fit into the last third of the CA lifetime (%s)", need, p.Lifetime/3)
	}
	return nil
}

// signsFrom is when a generation may begin to sign.
func (p Policy) signsFrom(g Generation) time.Time {
	return g.cert.NotBefore.Add(p.Backdate + p.Overlap)
}

// nextFrom is when the generation after g is due.
func (p Policy) nextFrom(g Generation) time.Time {
	return g.cert.NotBefore.Add(g.cert.NotAfter.Sub(g.cert.NotBefore) * 2 / 3)
}

// Signer picks the generation that signs now: the newest that has been
// published for the overlap, or, where there is none, the oldest, which clients
// are the most likely to know. It returns ErrNoGeneration when all have expired.
func (p Policy) Signer(generations []Generation, now time.Time) (Generation, error) {
	alive := unexpiredGenerations(generations, now)
	if len(alive) == 0 {
		return Generation{}, ErrNoGeneration
	}
	signer := alive[0]
	for _, g := range alive {
		if !p.signsFrom(g).After(now) {
			signer = g
		}
	}
	return signer, nil
}

// Bundle is what clients trust now: the certificates (PEM) of all unexpired
// generations, oldest first. It is empty when there is none.
func Bundle(generations []Generation, now time.Time) []byte {
	var bundle []byte
	for _, g := range unexpiredGenerations(generations, now) {
		bundle = append(bundle, g.CertificatePEM()...)
	}
	return bundle
}

// Plan is what has to be done to the CA.
type Plan struct {
	// Add a new generation.
	Add bool
	// Drop these generations; they have expired.
	Drop []Generation
	// Next is when to look again, if nothing changes before.
	Next time.Time
}

// Plan says what has to be done to the generations now.
func (p Policy) Plan(generations []Generation, now time.Time) Plan {
	var plan Plan
	alive := unexpiredGenerations(generations, now)
	for _, g := range generations {
		if !slices.ContainsFunc(alive, func(a Generation) bool { return a.name == g.name }) {
			plan.Drop = append(plan.Drop, g)
		}
	}
	if len(alive) == 0 {
		plan.Add, plan.Next = true, now.Add(p.Lifetime*2/3)
		return plan
	}
	newest := alive[len(alive)-1]
	plan.Next = p.nextFrom(newest)
	if !plan.Next.After(now) {
		plan.Add, plan.Next = true, now.Add(p.Lifetime*2/3)
	}
	if expiry := alive[0].NotAfter(); expiry.Before(plan.Next) {
		plan.Next = expiry
	}
	return plan
}

// unexpiredGenerations returns those that are valid at now, oldest first.
func unexpiredGenerations(generations []Generation, now time.Time) []Generation {
	var alive []Generation
	for _, g := range generations {
		if now.Before(g.NotAfter()) {
			alive = append(alive, g)
		}
	}
	slices.SortFunc(alive, func(a, b Generation) int {
		if c := a.cert.NotBefore.Compare(b.cert.NotBefore); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	return alive
}
