// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rpc calls the methods of Hadoop servers: version 9 of Hadoop's RPC
// with protocol buffers, over one connection that any number of calls share. It
// authenticates by name or with Kerberos, and signs or encrypts the calls where
// the server asks for it. It does not reconnect, and does not know what the
// calls mean: its caller, the HDFS driver, does.
package rpc
