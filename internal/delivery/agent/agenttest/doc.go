// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agenttest has what tests of the runtime need around it: a gateway, a
// real server over TLS whose answers the test decides, and a file server. Only
// tests import it.
package agenttest
