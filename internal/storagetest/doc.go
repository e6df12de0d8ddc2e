// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storagetest runs the servers of 'kuda-cluster storage run' for tests: other
// storage than MinIO, a registry, Prometheus. Only tests import it.
package storagetest
