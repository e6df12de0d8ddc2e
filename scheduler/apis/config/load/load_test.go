// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/scheduler/apis/config"
)

const head = "apiVersion: scheduler.kuda.io/v1alpha1\nkind: DataLocalityArgs\n"

func TestArgumentsAreReadWithTheirDefaults(t *testing.T) {
	weights := index.DefaultWeights()
	weights.Rack = 0
	for _, tc := range []struct {
		name, file string
		want       config.DataLocalityArgs
	}{
		{"defaults", head, config.DataLocalityArgs{Weights: weights, RoomCheck: true}},
		{"no version", "{}", config.DataLocalityArgs{Weights: weights, RoomCheck: true}},
		{"racks", head + "rackLabel: example.com/rack\n", config.DataLocalityArgs{Weights: index.DefaultWeights(),
			RackLabel: "example.com/rack", RoomCheck: true}},
		{"all", head + "rackLabel: rack\nroomCheck: false\nweights: {node: 1, rack: 2, zone: 3, downloads: 0, cache: 4, spread: 5}\n",
			config.DataLocalityArgs{Weights: index.Weights{Node: 1, Rack: 2, Zone: 3, Cache: 4, Spread: 5}, RackLabel: "rack"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Args(&runtime.Unknown{Raw: []byte(tc.file)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, *got, cmpopts.IgnoreTypes(metav1.TypeMeta{})); diff != "" {
				t.Errorf("other arguments are read:\n%s", diff)
			}
		})
	}
	if _, err := Args(nil); err != nil {
		t.Errorf("a configuration without arguments: %v", err)
	}
}

func TestInvalidArgumentsAreRefused(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"unknown field", head + "weight: 3\n", `unknown field "weight"`},
		{"another version", "apiVersion: scheduler.kuda.io/v1\nkind: DataLocalityArgs\n", "v1"},
		{"another kind", "apiVersion: scheduler.kuda.io/v1alpha1\nkind: Other\n", "Other"},
		{"weight too large", head + "weights: {zone: 101}\n", "weights.zone: Invalid value: 101: use a number from 0 to 100"},
		{"weight below zero", head + "weights: {node: -1}\n", "weights.node: Invalid value: -1: use a number from 0 to 100"},
		{"no weight", head + "weights: {node: 0, zone: 0, downloads: 0, spread: 0}\n", "weights: Invalid value: 0: give at least one"},
		{"rack without label", head + "weights: {rack: 5}\n", "rackLabel: Required value: name the label of nodes that holds the rack"},
		{"no label", head + "rackLabel: 'a b'\n", "rackLabel: Invalid value"},
		{"two mistakes", head + "rackLabel: 'a b'\nweights: {zone: 101}\n", "rackLabel: Invalid value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Args(&runtime.Unknown{Raw: []byte(tc.file)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want one with %q", err, tc.want)
			}
		})
	}
	if _, err := Args(&metav1.Status{}); err == nil {
		t.Error("another object is taken for arguments")
	}
}
