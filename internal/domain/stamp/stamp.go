// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package stamp

import (
	"maps"
	"strconv"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
)

const (
	// MaxName bounds a name, in bytes.
	MaxName = 253
	// altered ends a name that is not the user's whole name. The policy
	// kuda-dataset-users has both limits, too.
	altered = "…"
	// maxRequest bounds a request that is named, in bytes. Those that the command line
	// makes are shorter by far; a longer one is no request.
	maxRequest = 1024
)

// ChangedBy returns the name of the user who changed the spec last; empty if it is not known.
func ChangedBy(d *v1alpha1.DataSet) string {
	if d.Annotations[v1alpha1.AnnotationChangedGeneration] != strconv.FormatInt(d.Generation, 10) {
		return ""
	}
	return sanitize.Line(d.Annotations[v1alpha1.AnnotationChangedBy], MaxName)
}

// RequestedBy returns the name of the user who set the request to the rollout; empty if
// there is no request, or the user is not known.
func RequestedBy(d *v1alpha1.DataSet) string {
	request, ok := d.Annotations[v1alpha1.AnnotationRolloutRequest]
	if !ok || d.Annotations[v1alpha1.AnnotationRequestedFor] != request {
		return ""
	}
	return sanitize.Line(d.Annotations[v1alpha1.AnnotationRequestedBy], MaxName)
}

// Name returns the name as it is shown: of one line, and not longer than MaxName. One
// that had to be altered ends in "…".
func Name(username string) string {
	name := sanitize.Line(username, MaxName-len(altered))
	if name == username {
		return name
	}
	return name + altered
}

// Change is a change of a DataSet, or its creation.
type Change struct {
	// Username is who makes it.
	Username string
	// Before and After are the annotations. Before is nil at creation.
	Before, After map[string]string
	// Generation is that of the DataSet before; 0 at creation.
	Generation int64
	// SpecChanged reports whether the spec is another one; at creation it is.
	SpecChanged bool
}

// Annotations returns those of the DataSet after the change, with the names. A name
// whose spec or request did not change stays what it was, whatever the change says.
func Annotations(c Change) map[string]string {
	names := make(map[string]string, 4)
	if c.SpecChanged {
		names[v1alpha1.AnnotationChangedBy] = Name(c.Username)
		names[v1alpha1.AnnotationChangedGeneration] = strconv.FormatInt(c.Generation+1, 10)
	} else {
		keep(names, c.Before, v1alpha1.AnnotationChangedBy, v1alpha1.AnnotationChangedGeneration)
	}
	request, asked := c.After[v1alpha1.AnnotationRolloutRequest]
	before, had := c.Before[v1alpha1.AnnotationRolloutRequest]
	switch {
	case !asked, request != before && len(request) > maxRequest:
	case request != before || !had:
		names[v1alpha1.AnnotationRequestedBy], names[v1alpha1.AnnotationRequestedFor] = Name(c.Username), request
	default:
		keep(names, c.Before, v1alpha1.AnnotationRequestedBy, v1alpha1.AnnotationRequestedFor)
	}
	after := maps.Clone(c.After)
	for _, key := range Keys() {
		delete(after, key)
	}
	if after == nil {
		after = make(map[string]string, len(names))
	}
	maps.Copy(after, names)
	return after
}

// Keys returns the annotations that users do not write.
func Keys() []string {
	return []string{v1alpha1.AnnotationChangedBy, v1alpha1.AnnotationChangedGeneration, v1alpha1.AnnotationRequestedBy,
		v1alpha1.AnnotationRequestedFor}
}

// keep copies what is there under the keys.
func keep(to, from map[string]string, keys ...string) {
	for _, key := range keys {
		if value, ok := from[key]; ok {
			to[key] = value
		}
	}
}
