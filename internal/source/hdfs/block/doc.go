// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package block reads ranges of blocks from datanodes with Hadoop's data
// transfer protocol. Every chunk is checked against the checksum that came with
// it before a byte of it is handed out. Connections are kept for the next range,
// and authenticated and protected as the datanode demands.
//
// It knows one replica at a time; which replica is read, and what happens when
// it fails, is up to the HDFS driver.
package block
