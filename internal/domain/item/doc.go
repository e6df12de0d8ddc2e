// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package item names the bytes that an item stands for. The name, a mark, is
// made of what decides the bytes (the storage system, the path, the version,
// patterns, mode and expected digest) and of nothing else, so that the runtime,
// which stores them, and the control plane, which places pods near them, mean the
// same without telling each other.
//
// It works on the messages of the gateway's protocol and knows neither
// Kubernetes nor storage. What the fields of a source mean for the bytes stands at
// the fields, as options. The runtime's agent and package placement use it. Marks and
// ways are kept on disk: what they are made of must not change.
package item
