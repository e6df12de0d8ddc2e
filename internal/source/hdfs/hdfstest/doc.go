// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hdfstest starts a real HDFS for tests, and changes what is stored in
// it with a client that is not Kuda's. Servers are shared by the tests of a
// binary that want the same settings, and end with it. Only tests import it.
package hdfstest
