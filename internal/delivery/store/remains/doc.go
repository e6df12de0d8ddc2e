// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package remains looks after what lies beside a node's store, in the directory
// that bears the name of its namespace:
//
//	<namespace>/<UID>/         the store, of the namespace that there is now
//	<namespace>/<other UID>/   one of a namespace of the same name before it
//	<namespace>/snapshots/ …   one of v0.1.0, which knew no UID
//	<namespace>/.gone-…        what is being deleted
//
// The directories are accessible only to the runtimes. What an earlier namespace
// left is never read, and goes once no process of it lives. The store of v0.1.0 is
// still in use by the pods that an older release injected; it goes when the last
// of them has.
//
// Everything here may have been put there by an attacker: it is reached through
// os.Root only, no link is followed, and other files and directories are left
// alone. The runtime is the only user.
package remains
