// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package freeport picks ports for servers that must be told theirs before they start.
//
// A port that the kernel picked is given away again as soon as it is closed: to the next
// connection, or to another program that asks. So ports are taken from outside of the
// range that the kernel picks from, at random, and several programs can look at once.
package freeport
