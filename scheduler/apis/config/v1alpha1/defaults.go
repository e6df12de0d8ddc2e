// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"github.com/kuda-io/kuda/internal/placement/index"
)

// SetDefaults gives every field that is left out its default.
func SetDefaults(a *DataLocalityArgs) {
	setDefault(&a.RackLabel, "")
	setDefault(&a.RoomCheck, true)
	d := index.DefaultWeights()
	if *a.RackLabel == "" {
		d.Rack = 0
	}
	w := &a.Weights
	setDefault(&w.Node, d.Node)
	setDefault(&w.Rack, d.Rack)
	setDefault(&w.Zone, d.Zone)
	setDefault(&w.Downloads, d.Downloads)
	setDefault(&w.Cache, d.Cache)
	setDefault(&w.Spread, d.Spread)
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
