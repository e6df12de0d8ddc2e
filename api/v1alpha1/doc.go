// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is Kuda's API: what users write (DataSet) and what Kuda
// writes for each pod (Data), with the conditions, reasons, labels and
// annotations that go with them.
//
// It imports apimachinery and core/v1 only, so that anyone may import it, and
// it holds no behaviour beyond small accessors: decisions live in the
// components that take them.
//
// +kubebuilder:object:generate=true
// +groupName=data.kuda.io
package v1alpha1
