// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bounds decides how much one message of a runtime may hold, before the
// message is unmarshalled.
//
// A few bytes can become many objects: an empty element takes two bytes on the
// wire and a hundred times as much in memory. Check walks the bytes, counts, and
// allocates nothing; what it lets pass costs a small multiple of its length. The
// bounds are above what runtimes of any version send. The gateway's door uses it.
package bounds
