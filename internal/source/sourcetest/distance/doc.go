// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package distance makes servers far away: a proxy in front of them delays each
// request, paces the answers, and may lose some of them. It knows no protocol but
// how HTTP refuses a request, and serves the tests of sources, the tests of
// deliveries and the benchmark, so that all mean the same by "region" and "far".
//
// What it does not have: connecting costs nothing, because the proxy accepts a
// connection at once, and no packet is lost.
package distance
