// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mounted notices when the kubelet swaps the files of a mounted
// ConfigMap or Secret. It reads nothing itself and interprets nothing; the
// certificate authority and the configuration of the installation use it.
package mounted
