// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podstate is what the pods of a store have there beside its snapshots,
// with the names, forms and times of all of it:
//
//	pods/<uid>/lock                  locked while the pod's runtime runs
//	pods/<uid>/orphaned              since when it has not been locked, in this boot
//	pods/<uid>/ended                 the runtime was told to end
//	pods/<uid>/starts                how often the runtime was started since a start settled
//	pods/<uid>/desired.json          the newest desired state
//	pods/<uid>/datasets/<name>.json  which snapshots each revision in the view is made of,
//	                                 which hooks were done, which revision was taken back
//	pods/<uid>/prefetch/<name>.json  what was fetched for a later revision
//	pods/<uid>/view, scratch         of packages view and source
//	preheat/<name>.json              the revisions that are preheated, for pods to come
//
// A runtime that is being restarted holds no leases for that time, and its pod
// may live on. So the store asks Pods, which reads these files, before it evicts
// anything.
//
// The agent of a pod writes its Dir. Other runtimes of the node read it, and
// remove it when the pod is gone; so does package remains, through os.Root, in
// stores of other owners. A record that is torn counts as empty: it costs a
// repeated check, and no data. Nothing here takes a lock of the store.
package podstate
