// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package uplink is the runtime's side of the gateway's protocol: a connection
// over TLS that proves the pod by its token, a watch that comes back by itself,
// and reports that are sent at once when a phase changes and at most once a
// second when only bytes have moved.
//
// The gateway may be away for as long as it likes: the watch is tried again
// with growing, random pauses, and the newest report of each assignment is kept
// until it was taken or is out of date. The package decides nothing about data;
// the delivery agent does. It imports nothing of Kubernetes.
package uplink
