// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	"github.com/kuda-io/kuda/internal/source/local"
)

// requirement is a right that a reference of a source takes.
type requirement struct {
	right Right
	// reads says that data is read by virtue of it, as with credentials; a
	// certificate authority's certificates only protect the reading.
	reads bool
}

// requirementsOf returns the rights that a reference takes.
func requirementsOf(r sourcekind.Reference) []requirement {
	switch r.Kind {
	case sourcekind.Secret:
		return []requirement{{getSecret(r.Name), true}}
	case sourcekind.ConfigMap:
		return []requirement{{getConfigMap(r.Name), false}}
	case sourcekind.Claim: // seeing the claim, and what mounting it takes without Kuda
		return []requirement{{getClaim(r.Name), true}, {createPods, true}}
	case sourcekind.Audience:
		return []requirement{{createTokens, true}}
	case sourcekind.Instance: // a user who may create a pod reaches the metadata service from it
		return []requirement{{createPods, true}}
	case sourcekind.Plugin: // whatever it reads: the installation may have given it credentials of its own
		return []requirement{{usePlugin(r.Name), true}}
	case sourcekind.HTTPServer, sourcekind.TokenServer:
		return localRequirements(r.Name)
	}
	return nil
}

// localRequirements is for an address that leads to the pod itself, which takes what calling pods
// takes, or to its node, which a user who may create a pod reaches from it.
func localRequirements(address string) []requirement {
	switch local.Named(address) {
	case local.Pod:
		return []requirement{{callPods, true}}
	case local.Node:
		return []requirement{{createPods, true}}
	}
	return nil
}
