// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestNoTokenIsMadeForAnAudienceThatIsNotAdmitted(t *testing.T) {
	audiences := Audiences{
		// A wrong configuration must not admit them either.
		Allowed:   []string{"sts.amazonaws.com", "minio", "kuda.io", "https://kubernetes.default.svc", "https://issuer.example.com/cluster", ""},
		Forbidden: []string{"https://issuer.example.com/cluster"},
	}
	for audience, want := range map[string]bool{
		"sts.amazonaws.com":                  true,
		"minio":                              true,
		"vault":                              false,
		"Minio":                              false,
		"":                                   false,
		" ":                                  false,
		"kuda.io":                            false,
		"KUDA.IO":                            false,
		"https://kuda.io/":                   false,
		"kubernetes":                         false,
		"kubernetes.default":                 false,
		"kubernetes.default.svc":             false,
		"https://kubernetes.default.svc":     false,
		"https://kubernetes.default.svc/":    false,
		"https://kubernetes.default.svc:443": false,
		"https://kubernetes.default.svc.cluster.local": false,
		"HTTPS://Kubernetes.Default.SVC":               false,
		"https://issuer.example.com/cluster":           false,
		"https://issuer.example.com/cluster/":          false,
	} {
		if err := audiences.Check(audience); (err == nil) != want {
			t.Errorf("%q: got %v; want it admitted: %t", audience, err, want)
		}
	}
	if err := (Audiences{}).Check("sts.amazonaws.com"); err == nil {
		t.Error("an audience is admitted where the installation names none")
	}
}

func TestAStoredDataSetYieldsNoTokenOfAForbiddenAudience(t *testing.T) {
	for audience, want := range map[string]bool{"sts.amazonaws.com": true, "https://kubernetes.default.svc": false,
		"": false, "vault": false} {
		s := settings()
		s.Audiences = Audiences{Allowed: []string{"sts.amazonaws.com"}}
		injected := mustInject(t, Request{
			Pod: pod(), Namespace: Namespace{Name: "shop", UID: "u"}, Settings: s,
			DataSets: []*v1alpha1.DataSet{dataSet("a", everySource, func(ds *v1alpha1.DataSet) {
				ds.Spec.Template.DataSources.S3.WebIdentity.Audience = audience
			})},
		})
		var audiences []string
		for _, v := range injected.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, p := range v.Projected.Sources {
				if p.ServiceAccountToken != nil {
					audiences = append(audiences, p.ServiceAccountToken.Audience)
				}
			}
		}
		wanted := []string{sidecar.TokenAudience}
		if want {
			wanted = append(wanted, audience)
		}
		if !slices.Equal(audiences, wanted) {
			t.Errorf("with %q: the pod has tokens for %q, want %q", audience, audiences, wanted)
		}
	}
}
