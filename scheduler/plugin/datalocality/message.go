// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// maxListed bounds how many items a message names.
const maxListed = 5

// describeMissing says what of the required data is missing where, and what to do, when no
// node has all of it.
func describeMissing(d *index.Demand) string {
	var dataSets, nowhere, somewhere []string
	for i, w := range d.Wants {
		if !w.Required {
			continue
		}
		if !slices.Contains(dataSets, w.DataSet) {
			dataSets = append(dataSets, w.DataSet)
		}
		item := strings.TrimSpace(w.Item + " " + w.Version)
		if holders := len(d.HoldersOf(i)); holders == 0 {
			nowhere = append(nowhere, item)
		} else {
			somewhere = append(somewhere, fmt.Sprintf("%s (on %d)", item, holders))
		}
	}
	set := "DataSet " + dataSets[0] + " requires"
	if len(dataSets) > 1 {
		set = "DataSets " + strings.Join(dataSets, ", ") + " require"
	}
	if len(nowhere) == 0 {
		return fmt.Sprintf("no node holds all that %s: %s are on different nodes; preheat them onto the same (spec.preheat) or set "+
			"spec.placement to Prefer",
			set, joinFirst(somewhere))
	}
	is, them := "is", "it"
	if len(nowhere) > 1 {
		is, them = "are", "them"
	}
	return fmt.Sprintf("no node holds what %s: %s %s on no node; preheat %s (spec.preheat) or set spec.placement to Prefer", set,
		joinFirst(nowhere), is, them)
}

func joinFirst(items []string) string {
	if more := len(items) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:maxListed], ", "), more)
	}
	return strings.Join(items, ", ")
}
