// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package alluxio runs an Alluxio for tests: a master, workers and, where it is asked
// for, the proxy, each a Java process of its own (test/alluxio), over a directory or
// a bucket. Every server listens on, and is advertised as, one address. Nothing
// of it calls out: the checks for updates and for a cloud instance are off.
//
// Its settings are
//
//	ufs=URI              what is cached: s3://bucket/ (default: a directory, "root")
//	s3=URL               the endpoint of the bucket
//	accessKey, secretKey the keys of the bucket
//	auth=NOSASL|SIMPLE   how clients sign in (default SIMPLE, as Alluxio has it)
//	workers=N            (default 1)
//	proxy=true           the HTTP proxy too
//	block-size=BYTES     of files (default 64 MiB)
//	cache-size=BYTES     of each worker (default 4 GiB)
//	sync=MILLISECONDS    how old metadata may be that clients who do not say are given (default -1: any age)
//
// Its processes may be signalled, and killed, by the ids that it prints; POST
// /start?NAME to "control" starts one again.
package alluxio
