// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package build makes the programs the cluster runs: Debian packages by apt,
// servers in Java and Python from what test/hdfs, test/s3proxy and test/moto pin,
// everything else from Go modules pinned in hack/cluster/build. The results lie
// in a cache outside the clone, each under a key of all that goes into it, so a
// second build does nothing and two clones never disturb each other.
//
// A component is built in a temporary directory and moved into place whole; an
// interrupted build leaves nothing that could be mistaken for a finished one.
package build
