// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin makes a program a source plugin of Kuda: a container beside a
// pod's runtime that reads from a storage system which Kuda itself does not
// know. The author writes a [Source] (list files, open ranges of them) and a
// main that calls [Main]; this package speaks the protocol, on the socket that
// the environment variable KUDA_PLUGIN_SOCKET names.
//
// The package plugintest checks a Source against the contract that Kuda's own
// sources keep. docs/writing-a-source.md is a guide from an empty directory to
// a running pod, examples/plugin-sftp a complete plugin.
//
// Plugins in other languages serve proto/kuda/source/v1alpha1/source.proto with
// any gRPC library.
package plugin
