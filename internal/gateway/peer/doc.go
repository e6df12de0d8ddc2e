// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package peer bounds the connections to the gateway.
//
// A connection is a stranger's until a call on it was accepted. Strangers have a
// small part of the connections and little time; when their part is full, the
// oldest connection of the address that has the most of them makes room for a new
// one. So a flood displaces only itself, and a caller that has proven to be a pod
// keeps its connection. A pod keeps a few connections only, the newest ones.
package peer
