// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package get is kubectl kuda get: the files that a pod has, with sizes, modes
// and digests, as its runtime finds them in the store.
//
// Who may not exec into the pod is shown what the pod reported instead, by item
// and without files. It changes nothing.
package get
