// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"math"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// annotationUserRange is where OpenShift writes the users that it gave to a
// namespace: "<first>/<count>" or "<first>-<last>". Its security context constraints
// refuse containers that run as another one.
const annotationUserRange = "openshift.io/sa.scc.uid-range"

// rangeUser returns the first of the users that the namespace was given. An annotation
// that names none, or root, counts as absent.
func rangeUser(annotations map[string]string) (int64, bool) {
	text := annotations[annotationUserRange]
	end := strings.IndexAny(text, "/-")
	if end < 0 {
		return 0, false
	}
	user, err := strconv.ParseInt(text[:end], 10, 64)
	// The policy kuda-node-volumes compares the text.
	if err != nil || user <= 0 || user > math.MaxInt32 || strconv.FormatInt(user, 10) != text[:end] {
		return 0, false
	}
	return user, true
}

// userOf returns the user of Kuda's containers in a namespace, but for runtimes that
// mount their store from the node.
func userOf(n *Namespace) int64 {
	if user, ok := rangeUser(n.Annotations); ok {
		return user
	}
	return sidecar.RuntimeUser
}
