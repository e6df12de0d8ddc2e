// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiservertest starts the API server of an integration test with an etcd
// that wants client certificates: a test must not be changed by a process of
// another that has its address.
package apiservertest
