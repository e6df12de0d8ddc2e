// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// DataLocalityArgs are the arguments of the plugin DataLocality.
//
// +kubebuilder:object:root=true
type DataLocalityArgs struct {
	metav1.TypeMeta

	// Weights of the dimensions of the score.
	Weights index.Weights

	// RackLabel is the label of nodes whose value names the rack; "" for none.
	RackLabel string

	// RoomCheck rejects nodes whose store is known to lack room for what is missing.
	RoomCheck bool
}
