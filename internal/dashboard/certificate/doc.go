// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificate has what kuda-dashboard serves TLS with: the certificate of two files,
// read again when the kubelet swaps them, or one that it issues to itself.
package certificate
