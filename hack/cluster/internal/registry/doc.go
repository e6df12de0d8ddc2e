// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package registry runs the CNCF distribution registry, the reference
// implementation of the OCI distribution specification, for tests of the OCI
// source and for trying it out.
package registry
