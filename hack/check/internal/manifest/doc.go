// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest judges what Kuda installs and what it injects: Pod Security
// "restricted" for each container, kube-score's rules, and Kuda's own rules for
// rights in the Kubernetes API. Of injected pods it judges Kuda's containers
// alone; the others are the user's.
package manifest
