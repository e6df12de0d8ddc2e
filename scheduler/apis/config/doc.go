// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Package config holds the arguments of the plugin DataLocality in the form that
// the plugin works with, and says which are valid. Configuration files hold a
// version of them (package v1alpha1), which package load reads.
//
// It knows neither the scheduler nor a cluster. The plugin uses it.
//
// +kubebuilder:object:generate=true
package config
