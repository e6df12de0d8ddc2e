// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package view keeps the directory that a pod's application sees. It turns
// snapshots, which are complete and verified, into a tree of hard links, and
// moves the application from one such tree to the next with one rename(2).
//
// The layout, all of it inside the view because the view alone is mounted into
// the application:
//
//	.kuda/.rev/<dataset>/<n>        a tree: the items of one revision
//	.kuda/.rev/<dataset>/<n>.json   what the tree is; it is complete when this exists
//	.kuda/.rev/<dataset>/previous   link to the tree that Revert goes back to
//	.kuda/<dataset>                 link to the current tree; renaming it is the switch
//	.kuda/.old/                     what was replaced in the layout, for the grace period
//	<local path>                    link to .kuda/<dataset>/<local path>
//
// A single open(2) of a path below the view never fails because of a switch and
// never yields a partial file. Two opens of two paths may fall on both sides of
// a switch. An application that needs several files of the same revision opens
// the directory .kuda/<dataset> once, or resolves its real path once, and reads
// all of them below that: the tree stays until the switch after the next one,
// and not less than the grace period after it was last current.
//
// The package knows nothing of Kubernetes, of where snapshots come from or of
// hooks. It never writes into a snapshot. Local paths, dataset names and file
// names are taken to be hostile. The delivery agent is its only user.
package view
