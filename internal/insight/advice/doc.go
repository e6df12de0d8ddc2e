// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package advice knows what every documented reason of Kuda's API means for the
// people who run it: how bad it is, why it comes about, and what to do next, as
// commands where a command will do.
//
// It is one table and the look-ups in it; it reads nothing from a cluster. The
// test holds the table against api/v1alpha1/conditions.go, so that no reason is
// added without its advice. kubectl kuda doctor is its user; the long form for
// people is docs/troubleshooting.md.
package advice
