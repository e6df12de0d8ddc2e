// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugintest tests source plugins: it runs the contract suite that
// Kuda's own sources pass against a plugin's source, as it is and through the
// plugin's socket, and opens sources through a socket for a plugin's own tests.
// Only tests import it.
package plugintest
