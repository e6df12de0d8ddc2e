// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && !hostpath

package e2e

import (
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// byDriver says that the installation has kuda-node, which makes the node stores.
const byDriver = true

// restrictedStore is the store of pods where the Pod Security level forbids hostPath.
const restrictedStore = v1alpha1.StoreNode

// reportPatience is how long after the start of a node what is on it may be unknown: its
// keeper has to start first.
const reportPatience = time.Minute
