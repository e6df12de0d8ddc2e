// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package files lists what a pod has of its DataSets: the files with sizes, modes and
// digests, as its runtime finds them in the store.
//
// Where the caller may not exec into the pod, it is what the pod reported instead, by item
// and without files. It changes nothing.
package files
