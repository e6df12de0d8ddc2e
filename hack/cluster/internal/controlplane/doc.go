// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs etcd and the Kubernetes servers on the host, and
// puts the cluster's own parts into Kubernetes: its DNS.
package controlplane
