// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store keeps snapshots: the bytes of one item at one version, complete
// and verified, with a manifest (package snapshot). It is shared by the runtimes of a node (or
// private to one pod) and needs nothing but a directory:
//
//	snapshots/<id>/manifest.json     what the snapshot holds; complete once <id>/ exists
//	snapshots/<id>/data/             the files
//	snapshots/<id>.partial/          a download on its way: data/ and
//	snapshots/<id>.partial/journal   what of data/ is on the disk
//	snapshots/<id>.partial/reserved  the bytes that were promised to it
//	locks/<id>.writer                locked by the process that downloads
//	locks/<id>.lease                 locked, shared, by every user of the snapshot
//	locks/<id>.suspect               to be verified before it is served
//	locks/room                       locked while room is promised
//	locks/inventory                  locked by the process that reports the store
//	locks/boot, locks/open, boot     whether the machine went down under the store
//	marks/<id>.<mark>                empty: what an item calls the snapshot's bytes
//	id                               the store's ID; one that was made again has another
//	trash/                           what is being deleted
//
// No process runs the store. Its rules are held by flock(2), which the kernel
// releases when a holder dies, and by rename(2): a snapshot appears as a whole
// after everything in it was flushed to the disk once, and disappears as a
// whole. A process may be killed at any instruction; the next one goes on from
// the journal.
//
// All of it may be deleted at any time, too: it is made again, empty, by the next
// process that needs it.
//
// The package knows neither Kubernetes nor sources. The transfer package fills
// it, the agent holds leases and publishes views from it, the inventory package
// reports what is in it, the storecmd package shows it to people. Why it is as
// it is stands in docs/design/006-store.md.
package store
