// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fairshare divides something scarce, such as connections or bytes of
// memory, among callers that are not known and may be hostile.
//
// A pool that is full takes from the caller that holds most, and from that one
// what it has used least recently. So a caller that holds little is served however
// much others ask for, and a caller that holds much can displace only itself. It
// is used where Kuda listens: by package connlimit for connections, and by the
// webhook for requests and the bytes of their bodies.
package fairshare
