// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire has the few messages of Hadoop's protocols that a reader of HDFS
// needs, as protocol buffers. They are written and read by hand: the generated
// code of all of Hadoop's messages would register hundreds of types in every
// program for a dozen fields. Unknown fields are skipped, as newer servers send
// them; what the .proto files call required and is missing is an error where
// the driver relies on it.
package wire
