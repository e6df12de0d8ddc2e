// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mounted notices when the kubelet swaps the files of a mounted
// ConfigMap or Secret: of one, or of all that a container has. It reads no value
// and interprets nothing; the certificate authority, the configuration of the
// installation and the runtime use it.
package mounted
