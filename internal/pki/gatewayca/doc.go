// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gatewayca keeps a ConfigMap equal to the bundle of the certificate authority, for
// the clients of the gateway that are not injected: the keepers of kuda-node, whose pods
// have no certificates from an admission. The leader of kuda-manager runs it.
package gatewayca
