// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the version v1alpha1 of the arguments of the plugin
// DataLocality, as configuration files hold them: the group scheduler.kuda.io.
//
// A field that is left out has the default that its comment gives. Fields that
// the version does not know are refused.
//
// +kubebuilder:object:generate=true
// +groupName=scheduler.kuda.io
package v1alpha1
