// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package atomicfile changes names in a directory so that after a crash at any
// moment there is either the old or the new: small files that are never half
// written, in which the runtime keeps what it must remember across restarts, and
// two names that are exchanged. It knows no file's content.
package atomicfile
