// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// maxWeight of a dimension.
const maxWeight = 100

// Validate says what is wrong with the arguments, all of it.
func Validate(a *DataLocalityArgs) error {
	errs := validateWeights(&a.Weights, field.NewPath("weights"))
	if a.RackLabel != "" {
		for _, message := range validation.IsQualifiedName(a.RackLabel) {
			errs = append(errs, field.Invalid(field.NewPath("rackLabel"), a.RackLabel, "name a label of nodes, such as example.com/rack: "+message))
		}
	}
	if a.Weights.Rack > 0 && a.RackLabel == "" {
		errs = append(errs, field.Required(field.NewPath("rackLabel"), "name the label of nodes that holds the rack, or leave weights.rack out"))
	}
	return errs.ToAggregate()
}

func validateWeights(w *index.Weights, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	some := false
	for _, one := range []struct {
		name  string
		value int64
	}{{"node", w.Node}, {"rack", w.Rack}, {"zone", w.Zone}, {"downloads", w.Downloads}, {"cache", w.Cache}, {"spread", w.Spread}} {
		if one.value < 0 || one.value > maxWeight {
			errs = append(errs, field.Invalid(path.Child(one.name), one.value, "use a number from 0 to 100"))
		}
		some = some || one.value != 0 && one.name != "cache" // which does not always count
	}
	if !some {
		errs = append(errs, field.Invalid(path, 0,
			"give at least one of node, rack, zone, downloads and spread a weight, or disable the plugin's score"))
	}
	return errs
}
