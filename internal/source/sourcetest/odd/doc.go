// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package odd has servers that speak S3, HTTP, OCI and HDFS well but for the faults
// that a test chooses: those that services, gateways and proxies in front of them
// were reported to have. It is for tests that say what must come of each fault, with
// every driver and every shape of a delivery.
package odd
