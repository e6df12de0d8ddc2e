// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && hostpath

package e2e

import (
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// byDriver says that the installation has no kuda-node: pods mount node stores from the
// node.
const byDriver = false

// restrictedStore is the store of pods where the Pod Security level forbids hostPath.
const restrictedStore = v1alpha1.StorePod

// reportPatience is how long after the start of a node what is on it may be unknown: the
// runtimes on it have to start first.
const reportPatience = 10 * time.Second
