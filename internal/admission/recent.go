// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"maps"
	"sync"
	"time"
)

// maxRecent bounds the namespaces that are remembered.
const maxRecent = 1024

// recent remembers in which namespaces DataSets were changed lately, as the webhook is
// asked about each change before it is stored. Other replicas are asked about others, so
// it knows some of the changes.
type recent struct {
	mu sync.Mutex
	at map[string]time.Time
}

// note remembers a change in the namespace.
func (r *recent) note(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = map[string]time.Time{}
	}
	if len(r.at) >= maxRecent {
		maps.DeleteFunc(r.at, func(_ string, at time.Time) bool { return time.Since(at) >= youngFor })
	}
	if _, ok := r.at[namespace]; ok || len(r.at) < maxRecent {
		r.at[namespace] = time.Now()
	}
}

// has reports whether a change in the namespace is remembered that is young.
func (r *recent) has(namespace string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[namespace]
	return ok && time.Since(at) < youngFor
}
