// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hdfs runs an HDFS for tests: the namenodes and datanodes of Apache
// Hadoop in one Java process (test/hdfs), and, where Kerberos is asked for, a
// key distribution centre of MIT. Every server listens on, and is advertised
// as, one address, so pods of the development cluster can reach them all. What they
// hold is changed over HTTP ("files"), by the client github.com/colinmarc/hdfs.
//
// Its settings are
//
//	ha=true              two namenodes; POST /failover to "control" swaps them
//	kerberos=true        Kerberos, with keytabs for two users
//	protection=LEVEL     of data transfers: authentication, integrity, privacy
//	rpc-protection=LEVEL of calls to the namenode: the same levels
//	cipher=legacy        privacy without AES
//	block-size=BYTES     of files that are written without another (default 128 MiB)
//	datanodes=N          (default 3)
//	replication=N        (default 3)
package hdfs
