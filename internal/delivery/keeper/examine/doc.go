// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package examine compares a snapshot, byte by byte and at a given pace, with the
// manifest that was written when it was delivered.
//
// It holds no lease and no lock: a snapshot may be evicted while it is read, which is
// no finding. What the process or the machine has too little of is none either. It
// streams the manifest, so its memory does not depend on the number of files.
//
// The keeper uses it.
package examine
