// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connlimit bounds the cost of a server's connections, whatever their
// number and origin. A full listener does not turn new connections away: it
// closes an old one of the address that holds most. So a stranger that opens
// connections without end displaces its own, and a caller that connects and
// asks at once, as the kubelet and the API server do, is always served.
//
// Whatever of Kuda's listens to more than its own pod listens through it. It
// knows nothing of what is served.
package connlimit
