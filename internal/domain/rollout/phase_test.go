// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// allTransitions returns the rows of the table in the order in which events are taken.
func allTransitions() []transition {
	return slices.Concat(beginnings, requests, failures, ends, deadlines)
}

func (p phases) String() string {
	var names []string
	for _, name := range p {
		if name == notBegun {
			name = "(none)"
		}
		names = append(names, string(name))
	}
	return strings.Join(names, ", ")
}

func TestTheTableOfTheDesignIsTheTableOfTheCode(t *testing.T) {
	design, err := os.ReadFile("../../../docs/design/007-rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, row := range allTransitions() {
		to := row.to.String()
		if row.to == nil {
			to = "(stays)"
		}
		fmt.Fprintf(&rows, "| %s | %s | %s |\n", row.event, row.from, to)
	}
	if !strings.Contains(string(design), rows.String()) {
		t.Errorf("docs/design/007-rollout.md lacks these rows:\n%s", rows.String())
	}
}

func TestEventsLeadToThePhasesOfTheirRows(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(200) {
		w := newWorld(seed)
		w.checkInput = func(in Input) {
			f := newFacts(in)
			for _, s := range order {
				for _, row := range allTransitions() {
					if !f.state.isIn(row.from...) || !row.occurs(f) {
						continue
					}
					seen[row.event]++
					next := row.next(f)
					if row.to == nil && next.phase() != f.state.phase() || row.to != nil && !next.isIn(row.to...) {
						w.violated("%s: from %s to %s", row.event, f.state.phase(), next.phase())
					}
				}
				f = f.withState(s(f))
			}
		}
		play(t, w, seed)
	}
	for _, row := range slices.Concat(requests, failures, ends) {
		if seen[row.event] == 0 {
			t.Errorf("in no history: %s", row.event)
		}
	}
}
