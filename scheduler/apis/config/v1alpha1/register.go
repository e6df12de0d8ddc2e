// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/scheduler/apis/config"
)

// GroupVersion names this version in configuration files.
var GroupVersion = schema.GroupVersion{Group: config.Group, Version: "v1alpha1"}

// AddToScheme makes a scheme know this version, its defaults, and how it becomes
// the internal one.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DataLocalityArgs{})
	scheme.AddTypeDefaultingFunc(&DataLocalityArgs{}, func(o any) { SetDefaults(o.(*DataLocalityArgs)) })
	return scheme.AddConversionFunc((*DataLocalityArgs)(nil), (*config.DataLocalityArgs)(nil), func(in, out any, _ conversion.Scope) error {
		convertArgs(in.(*DataLocalityArgs), out.(*config.DataLocalityArgs))
		return nil
	})
}

// convertArgs takes over arguments that have their defaults.
func convertArgs(in *DataLocalityArgs, out *config.DataLocalityArgs) {
	w := &in.Weights
	out.Weights = index.Weights{Node: *w.Node, Rack: *w.Rack, Zone: *w.Zone, Downloads: *w.Downloads,
		Cache: *w.Cache, Spread: *w.Spread}
	out.RackLabel, out.RoomCheck = *in.RackLabel, *in.RoomCheck
}
