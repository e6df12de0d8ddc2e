// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pvc reads files below a directory: a PersistentVolumeClaim that is
// mounted read-only beside the runtime. Nothing outside of the directory is
// read, whatever links lie in it.
//
// A file's identity is its inode, its size, and the times of its last change in
// nanoseconds. The kernel stamps changes with a clock that moves in steps, so
// two changes within one step leave the same stamp. A listing therefore waits
// until the last change of each file is older than a step: whatever changes
// later gets another stamp, which Open and the end of every read look for. So
// equal identities prove equal bytes. Writes through a memory mapping are stamped
// late, and clocks of file servers that are seconds off break this, too: who
// publishes new versions by renaming complete files depends on neither.
package pvc
