// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package assignment says what a Data object is to the manager: how the Data of
// a pod and a DataSet is named, labelled and found, and when what it asks for
// has been delivered or withdrawn.
//
// It holds no rule about when a Data is made, changed or removed; those are the
// DataSet and Data controllers', which use it together with the gateway.
package assignment
