// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MaxSpecBytes bounds a DataSet's spec as JSON. The API server stores no object of
// more than 1.5 MiB. What is left is for what is stored with the spec or its
// template: the status of up to 128 items with their messages (in Data), history and
// conditions (in the DataSet), and the metadata, of which annotations alone may
// have 256 KiB.
const MaxSpecBytes = 1 << 20
