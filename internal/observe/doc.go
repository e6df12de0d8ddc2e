// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package observe serves probes and metrics of a component to every client that
// can connect, within fixed limits of connections, time and memory. It takes the
// place of controller-runtime's servers for them, which have none. What is served
// is its caller's business.
package observe
