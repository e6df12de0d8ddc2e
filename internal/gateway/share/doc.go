// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package share hands out what all callers of the gateway need and of which there
// is a bounded amount: slots, connections, bytes.
//
// No pod and no namespace gets more than its share, and a part is kept for
// namespaces that hold nothing, so that one tenant who takes all it can get does
// not keep others waiting. The package knows nothing about what it hands out.
package share
