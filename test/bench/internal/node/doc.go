// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package node runs Kuda's runtimes as on one node of a cluster, without the
// cluster: many processes of kuda-runtime over one store, and a gateway that
// tells all of them at the same moment what they are to have.
package node
