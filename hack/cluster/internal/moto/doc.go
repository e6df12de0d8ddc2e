// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package moto runs the S3 service of moto, an imitation of Amazon's services in
// Python, for tests: another implementation of the protocol, whose listings,
// errors and signatures are written by others. It keeps objects in memory.
package moto
