// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group of the arguments in configuration files.
const Group = "scheduler.kuda.io"

// GroupVersion is the internal version, which no file holds.
var GroupVersion = schema.GroupVersion{Group: Group, Version: runtime.APIVersionInternal}

// AddToScheme makes a scheme know the internal version.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DataLocalityArgs{})
	return nil
}
