// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ceiling is the client that does nothing but what every client has to:
// it receives bytes over plain HTTP/1.1 connections into one large buffer each
// and writes them into preallocated files. What it reaches bounds what a real
// client can reach on that machine, from that server, in that minute.
//
// It checks nothing, retries nothing and flushes nothing. The benchmark runs it
// as a process of its own, so that it is measured as the others are.
package ceiling
