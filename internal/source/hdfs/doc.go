// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hdfs reads from HDFS with its native protocols: the namenode's RPC for
// names and places, the datanodes' transfers for bytes. Where the bytes lie is
// asked for once per file; every range then goes straight to a datanode, to the
// next one when that is slow, dead or has a broken replica. No byte is handed
// out whose checksum does not match.
//
// The protocols are in packages of their own: wire has the messages, rpc the
// calls, block the transfers.
package hdfs
