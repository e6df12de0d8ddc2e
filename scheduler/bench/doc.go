// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures how many pods kuda-scheduler places in a second with the
// plugin DataLocality and without it: the same binary, one after the other and
// again, against a real API server whose nodes are simulated by kwok.
//
// It changes nothing but its own directory. It is run by make bench-scheduler;
// docs/scheduler.md says what the figures mean.
package main
