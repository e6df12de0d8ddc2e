// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cabundle

import (
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/pki"
)

func TestReplicasDoNotUndoEachOthersBundle(t *testing.T) {
	now := time.Now()
	make := func(age time.Duration) []byte {
		g, err := pki.NewGeneration(pki.DefaultPolicy(), now.Add(-age))
		if err != nil {
			t.Fatal(err)
		}
		return g.CertificatePEM()
	}
	join := func(parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	old, next, stranger := make(time.Hour), make(time.Minute), make(2*time.Hour)
	for _, c := range []struct {
		name                 string
		current, own, signer []byte
		want                 verdict
	}{
		{"nothing published yet", nil, old, old, verdict{write: true}},
		{"published", old, old, old, verdict{trusted: true}},
		{"reset to rubbish", []byte("\n"), old, old, verdict{write: true}},
		{"reset to something older", stranger, old, old, verdict{write: true}},
		{"this replica knows the next CA", old, join(old, next), old, verdict{write: true, trusted: true}},
		{"another replica knew it first", join(old, next), old, old, verdict{trusted: true}},
		{"an expired CA is to go", join(stranger, old, next), join(old, next), old, verdict{write: true, trusted: true}},
		{"a newer CA without this replica's", next, old, old, verdict{write: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := compareBundles(c.current, c.own, c.signer); got != c.want {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
}
