// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package authority

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/pki"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func generation(t *testing.T, born time.Time) []byte {
	t.Helper()
	g, err := pki.NewGeneration(pki.DefaultPolicy(), born)
	if err != nil {
		t.Fatal(err)
	}
	return g.CertificatePEM()
}

func TestOnlyAnotherInstallationReplacesAnAuthority(t *testing.T) {
	const year = 365 * 24 * time.Hour
	first, second, third := generation(t, now.Add(-2*year)), generation(t, now.Add(-year/2)), generation(t, now)
	other, expired := generation(t, now.Add(-time.Hour)), generation(t, now.Add(-4*year))
	for name, c := range map[string]struct {
		given, published []byte
		want             bool
	}{
		"the same":                                 {first, first, false},
		"reinstalled":                              {first, other, true},
		"reinstalled while two were published":     {slices.Concat(first, second), other, true},
		"the next one is published":                {first, slices.Concat(first, second), false},
		"the pod has a newer one than the manager": {slices.Concat(first, second), first, false},
		"one of two has gone":                      {slices.Concat(first, second), slices.Concat(second, third), false},
		"rotated away since":                       {expired, slices.Concat(second, third), false},
		"rotated and then reinstalled":             {slices.Concat(expired, first), other, true},
		"nothing given":                            {nil, other, false},
		"nothing published":                        {first, nil, false},
		"no certificate":                           {[]byte("none"), other, false},
		"a damaged one beside it": {slices.Concat([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), first),
			other, true},
		"text around it": {slices.Concat([]byte("# ours\n"), bytes.TrimSpace(first)), first, false},
	} {
		if got := IsReplaced(Describe(c.given), Describe(c.published), now); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
