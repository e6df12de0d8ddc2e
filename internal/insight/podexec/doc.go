// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podexec asks the runtimes in pods: it runs "kuda-runtime inspect" in
// them with the user's own rights, as kubectl exec does, and reads the answer.
//
// It moves no data and changes nothing in the pod. The commands diff and get use
// it; tests put another Runner in its place.
package podexec
