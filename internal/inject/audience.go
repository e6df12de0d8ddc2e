// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// Audiences says for whom tokens of pods' service accounts may be made. The
// receiver of such a token is the pod's service account to its audience.
type Audiences struct {
	// Allowed are the audiences that the installation admits.
	Allowed []string
	// Forbidden are never admitted, even where they are allowed: those of the
	// API server among them.
	Forbidden []string
}

var (
	errAudienceReserved   = errors.New("it belongs to the Kubernetes API server or to Kuda itself, and no source may have tokens for it")
	errAudienceNotAllowed = errors.New("the installation does not admit it; ask for it to be added to webIdentityAudiences in the " +
		"ConfigMap kuda-config")
)

// Check returns why no token is made for the audience, or nil.
func (a Audiences) Check(audience string) error {
	same := func(other string) bool { return normalAudience(other) == normalAudience(audience) }
	switch {
	case ReservedAudience(audience), slices.ContainsFunc(a.Forbidden, same):
		return fmt.Errorf("audience %q: %w", audience, errAudienceReserved)
	case !slices.Contains(a.Allowed, audience):
		return fmt.Errorf("audience %q: %w", audience, errAudienceNotAllowed)
	}
	return nil
}

// allowedAudiences returns those of the audiences for which tokens may be made.
func (a Audiences) allowedAudiences(audiences []string) []string {
	return slices.DeleteFunc(audiences, func(audience string) bool { return a.Check(audience) != nil })
}

// ReservedAudience reports whether no installation can admit an audience: the
// gateway's, the usual ones of API servers, and none at all, which stands for the
// API server's.
func ReservedAudience(audience string) bool {
	host := normalAudience(audience)
	if i := strings.IndexAny(host, "/:"); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	switch host {
	case "", sidecar.TokenAudience, "kubernetes", "kubernetes.default":
		return true
	}
	return strings.HasPrefix(host, "kubernetes.default.")
}

// normalAudience removes what may differ between spellings of one audience.
func normalAudience(audience string) string {
	name := strings.ToLower(strings.TrimSpace(audience))
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	return strings.TrimRight(name, "/")
}
