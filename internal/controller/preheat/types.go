// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Input is everything that a plan depends on.
type Input struct {
	// DataSet and UID are those of the DataSet.
	DataSet string
	UID     types.UID
	// Spec is what is wanted, Revision what the nodes are to have.
	Spec     v1alpha1.Preheat
	Revision string
	// Nodes are all of the cluster, Pods those of this DataSet's preheat.
	Nodes []Node
	Pods  []Pod
	// State is that of the plan before.
	State State
	// Request is the value of the annotation kuda.io/rollout-request where it asks to try
	// again what failed; else empty.
	Request string
	// Held makes no pod before this time: none could be made.
	Held time.Time
	Now  time.Time
}

// Node is a node as the planner sees it.
type Node struct {
	Name   string
	Labels map[string]string
	Ready  bool
	// ReadySince is when it last became Ready: what was known before is void.
	ReadySince time.Time
	// Cordoned, or with a taint that keeps pods away.
	Cordoned, Tainted bool
	// Store is what the namespace's store holds there; nil: nothing that can be
	// believed is known.
	Store *Store
}

// Store is what a node's store holds of the revision.
type Store struct {
	// Observed is when that was said.
	Observed time.Time
	// Kept: all of it is there, and is kept for a preheat.
	Kept bool
	// Bytes of it that are there.
	Bytes int64
	// Available is how many bytes a download may have.
	Available int64
	// Omitted: the store has more snapshots than were told of, so what was not
	// told of may be there all the same.
	Omitted bool
}

// Pod is one of the preheat's pods.
type Pod struct {
	Name     string
	Created  time.Time
	Deleting bool
	Phase    corev1.PodPhase
	Injected bool
	// Node is empty as long as it has none.
	Node string
	// Reason and Message are what Kubernetes says of it: why it failed, or has no node.
	Reason, Message string
	// Data is nil as long as there is none.
	Data *Delivery
}

// Delivery is how far a pod's Data is.
type Delivery struct {
	Reported, Delivered bool
	DeliveredAt         time.Time
	// Permanent: an item failed for a reason that does not pass; Failing: for one that may.
	Permanent, Failing bool
	// Reason and Message say what holds it back.
	Reason, Message string
	// Fill is how far the caches are, in the pod that fills them.
	Fill Fill
}

// Fill is how far the caches in front of the sources are filled.
type Fill struct {
	// Held bytes are in them, of Total that may come from them.
	Held, Total int64
	// Done: all of them were filled, or Reason and Message say why not.
	Done            bool
	Reason, Message string
	// Holders are the hosts that hold most of it.
	Holders []v1alpha1.CacheHolder
}

// isFull reports whether the caches hold all that may come from them.
func (f Fill) isFull() bool { return f.Done && f.Held >= f.Total }

// Seat is a node that is to have the data.
type Seat struct {
	Phase           v1alpha1.PreheatPhase
	Reason, Message string
	// Since is when the phase began.
	Since time.Time
	// Attempts is how often it failed since it was last ready.
	Attempts int
	// Seen: the node's store was reported to hold it.
	Seen bool
	// Retry: that it failed is to be no reason to wait; a request asked for it.
	Retry bool
}

// State is what a plan remembers for the next one.
type State struct {
	Revision string
	// Seats are the nodes that are to have the data.
	Seats map[string]Seat
	// Passed are the nodes that failed for a reason of their own and gave their
	// seat to another.
	Passed map[string]Seat
	// Cache is how far the caches are, where they are to be filled.
	Cache CacheState
	// Last and Next are when the schedule came, and comes, round; zero: never.
	Last, Next time.Time
	// Request is the last that was carried out.
	Request string
}

// CacheState is how far the caches are filled, as a plan remembers it.
type CacheState struct {
	// Seat is of the pod that fills them.
	Seat
	// Node is where that pod is, or was last.
	Node string
	// Held bytes are in them, of Total.
	Held, Total int64
	// Holders are the hosts that hold most of it.
	Holders []v1alpha1.CacheHolder
}

// Plan is what to do now.
type Plan struct {
	State State
	// Create are the nodes to make a pod for, Delete the pods to remove.
	Create, Delete []string
	// Fill is the node to make the pod on that fills the caches; empty: none is made.
	Fill string
	// Wanted is how many nodes are to have the data; Matching how many have the
	// labels, Fit how many of these take pods.
	Wanted, Matching, Fit int
	// Retry: a request asks to try now what failed.
	Retry bool
	// Schedule is what is wrong with the schedule.
	Schedule error
	// Wake is after which time to plan again without an event; 0: never.
	Wake time.Duration
}
