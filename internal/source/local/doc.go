// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package local says which addresses of storage systems lead to the pod itself or to
// its node: what listens there takes a caller for one of its own. A runtime connects there
// only where a DataSet names such an address, which its author needs a right for; a name that
// resolves to one, or a redirect, does not do. The webhook and the drivers use it.
package local
