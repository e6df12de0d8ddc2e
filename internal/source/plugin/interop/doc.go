// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package interop tests the plugin protocol against grpc-go, another
// implementation of gRPC than the one both ends are made with. It is a module
// of its own, so that nothing else depends on grpc-go.
package interop
