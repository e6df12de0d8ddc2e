// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manager puts kuda-manager together: the cache and what it keeps of
// each object, the controllers on the leader, the gateway on every replica, the
// probes. cmd/kuda-manager gives it flags and certificates; tests run it in
// their own process. It holds no behaviour of its own.
package manager
