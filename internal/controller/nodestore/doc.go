// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodestore is the controller that takes out of NodeStores what can no
// longer be believed: those whose node is gone or is another one of the same
// name, and entries that were observed in another boot, or before the node last
// became Ready, or of a namespace that is gone.
//
// It runs on the leader only, and adds nothing: what a node holds is written by
// the gateway, which uses Sum for the totals as it does. The rule for what is
// believed is package locality's.
package nodestore
