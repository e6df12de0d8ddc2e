// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
)

// unseen is how long a leader waits for a pod that it has not found in a list since it
// leads: the runtimes may just be coming back from a replica that is gone.
const unseen = 2 * time.Minute

// Roll is what the leader knows of the lists of all replicas. It is safe for
// concurrent use.
type Roll struct {
	mu    sync.Mutex
	began time.Time
	lists map[string]*published
	heard map[Mark]struct{}
	// lost is since when pods are in no list that were in one.
	lost map[Mark]time.Time
	// complete says that the list of every replica is there, so that a pod in none is
	// not heard.
	complete bool
}

// published is the list of one replica, and when it was seen to be renewed: by the
// clock of the leader, which may differ from the replica's.
type published struct {
	version string
	at      time.Time
	list    List
}

// NewRoll makes the roll of a leader, which begins with the first Update.
func NewRoll() *Roll {
	return &Roll{lists: make(map[string]*published), heard: make(map[Mark]struct{}), lost: make(map[Mark]time.Time)}
}

// Update takes the Leases as they are now, and the names of the replicas that serve
// now. It reports whether Look may return other values.
func (r *Roll) Update(leases []coordinationv1.Lease, replicas []string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.began.IsZero() {
		r.began = now
	}
	r.readLists(leases, now)
	heard := make(map[Mark]struct{}, len(r.heard))
	for _, p := range r.lists {
		if now.Sub(p.at) < freshness {
			for _, m := range p.list {
				heard[m] = struct{}{}
			}
		}
	}
	changed := false
	for m := range r.heard {
		if _, still := heard[m]; !still {
			r.lost[m], changed = now, true
		}
	}
	for m := range heard {
		if _, before := r.heard[m]; !before {
			changed = true
			delete(r.lost, m)
		}
	}
	r.heard = heard
	complete := len(r.lists) > 0 && !slices.ContainsFunc(replicas, func(name string) bool {
		p := r.lists[leaseName(name)]
		return p == nil || now.Sub(p.at) >= freshness
	})
	changed = changed || complete != r.complete
	r.complete = complete
	return changed
}

// readLists takes in the lists that are new; the lock is held.
func (r *Roll) readLists(leases []coordinationv1.Lease, now time.Time) {
	there := make(map[string]bool, len(leases))
	for i := range leases {
		l := &leases[i]
		there[l.Name] = true
		p := r.lists[l.Name]
		if p != nil && p.version == l.ResourceVersion {
			continue
		}
		list, err := decodeList(l.Annotations[annotation])
		if err != nil {
			continue // as if it were not renewed
		}
		r.lists[l.Name] = &published{version: l.ResourceVersion, at: now, list: list}
	}
	for name := range r.lists {
		if !there[name] {
			delete(r.lists, name)
		}
	}
}

// Look reports whether the gateway hears the pod's runtime, and if it is known that it does
// not, since when. A zero time with heard false: it is not known.
func (r *Roll) Look(pod types.UID) (heard bool, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := MarkOf(pod)
	if _, ok := r.heard[m]; ok {
		return true, time.Time{}
	}
	if !r.complete {
		return false, time.Time{}
	}
	if at, ok := r.lost[m]; ok {
		return false, at.Add(-Hold)
	}
	return false, r.began.Add(unseen)
}

// Keep forgets since when others than these pods are lost.
func (r *Roll) Keep(pods map[Mark]struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.lost {
		if _, ok := pods[m]; !ok {
			delete(r.lost, m)
		}
	}
}

// Abandoned returns the Leases that have not been renewed for so long that their replica
// is gone.
func (r *Roll) Abandoned(after time.Duration, now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, p := range r.lists {
		if now.Sub(p.at) >= after {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
