// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests Kuda on a real cluster: real kubelets, a real API server,
// a real MinIO, Kuda installed from install/kuda.yaml. "make e2e" prepares all
// of that and runs it; hack/e2e.sh -run NAME runs one test on what is prepared.
//
// A test owns a namespace and leaves the installation as it found it. What it
// claims about data it takes from the pods themselves, not from Kuda's status
// alone. Tests that break things (kill processes, fill a disk, shape a link) do
// so through kuda-cluster or on processes that they found by the pod's cgroup.
package e2e
