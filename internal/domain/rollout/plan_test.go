// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// fleet is pods on revisions: "A" delivered and Ready, "a" on its way, "1"
// failed, "-" new.
func fleet(states string) []Pod {
	var pods []Pod
	for i, s := range states {
		p := Pod{UID: types.UID(fmt.Sprintf("uid-%d", i)), Name: fmt.Sprintf("pod-%d", i), Ready: s != '-'}
		switch {
		case s == '-':
		case s >= '1' && s <= '9':
			p.Revision, p.Failed = string(s-'1'+'A'), true
		case s >= 'a' && s <= 'z':
			p.Revision = string(s - 'a' + 'A')
		default:
			p.Revision, p.Delivered = string(s), true
		}
		pods = append(pods, p)
	}
	return pods
}

func rolling(maxUnavailable, partition string) v1alpha1.UpdateStrategy {
	u := v1alpha1.UpdateStrategy{Type: v1alpha1.RollingUpdateStrategyType, RollingUpdate: &v1alpha1.RollingUpdate{}}
	if maxUnavailable != "" {
		value := intstr.Parse(maxUnavailable)
		u.RollingUpdate.MaxUnavailable = &value
	}
	if partition != "" {
		value := intstr.Parse(partition)
		u.RollingUpdate.Partition = &value
	}
	return u
}

var onDelete = v1alpha1.UpdateStrategy{Type: v1alpha1.OnDeleteStrategyType}

type expectation struct {
	current, fresh string
	// moves counts the moves to each revision.
	moves    map[string]int
	held     int
	complete bool
}

func check(t *testing.T, name string, in Input, want expectation) {
	t.Helper()
	got := Decide(in)
	moves := map[string]int{}
	for _, m := range got.Moves {
		moves[m.Revision]++
	}
	if got.Current != want.current || got.New != want.fresh || got.HeldBack != want.held || got.Complete != want.complete ||
		fmt.Sprint(moves) != fmt.Sprint(nonNil(want.moves)) {
		t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
	}
}

func nonNil(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// Revisions of the tables below: A is delivered, B and C are new.
var (
	revisionA = Revision{"A", Delivered}
	revisionB = Revision{"B", Untried}
	revisionC = Revision{"C", Untried}
	triedA    = Revision{"A", Assigned}
	triedB    = Revision{"B", Assigned}
)

// planCase is an input of Decide, and what is expected of the plan.
type planCase struct {
	in   Input
	want expectation
}

// movesTo returns the moves of n pods to a revision.
func movesTo(revision string, n int) map[string]int { return map[string]int{revision: n} }

func TestPlanMovesPodsWithinTheBudget(t *testing.T) {
	for name, c := range map[string]planCase{
		"first revision goes to all pods": {
			Input{Update: revisionA, Strategy: rolling("1", ""), Pods: fleet("---")},
			expectation{current: "A", fresh: "A"}},
		"nothing to do": {
			Input{Current: revisionA, Update: revisionA, Strategy: rolling("", ""), Pods: fleet("AAA")},
			expectation{current: "A", fresh: "A", complete: true}},
		"default budget is a quarter, rounded up": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("", ""), Pods: fleet("AAAAA")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 2)}},
		"budget is at least one": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("1%", ""), Pods: fleet("A")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 1)}},
		"budget as a number": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("3", ""), Pods: fleet("AAAAA")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 3)}},
		"pods on their way use the budget": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("2", ""), Pods: fleet("bBAAA")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 1)}},
		"a new pod uses the budget": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("1", ""), Pods: fleet("AA-")},
			expectation{current: "A", fresh: "A"}},
		"no budget, no move": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("2", ""), Pods: fleet("bbAAA")},
			expectation{current: "A", fresh: "A"}},
		"failed pods move freely": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("1", ""), Pods: fleet("1111A")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 4)}},
		"a new pod on its way to the stable revision is not thrown onto a broken update": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("2", ""), Pods: fleet("22AAAa")},
			expectation{current: "A", fresh: "A"}},
		"pods that are stuck on their way to the stable revision try the update": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("2", ""), Pods: fleet("aaaaaA")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 2)}},
		"a first delivery that failed everywhere is fixed by an edit": {
			Input{Current: triedA, Update: revisionB, Strategy: rolling("1", ""), Pods: fleet("aaaa-")},
			expectation{current: "B", fresh: "B", moves: movesTo("B", 4)}},
		"a failed update is fixed by another edit": {
			Input{Current: revisionA, Update: revisionC, Strategy: rolling("1", ""), Pods: fleet("bAAA")},
			expectation{current: "A", fresh: "A", moves: movesTo("C", 1)}},
		"a rollout is done": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("1", ""), Pods: fleet("BBB")},
			expectation{current: "B", fresh: "B", complete: true}},
		"the last pod is not there yet": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("1", ""), Pods: fleet("BBb")},
			expectation{current: "A", fresh: "A"}},
	} {
		check(t, name, c.in, c.want)
	}
}

func TestPlanHoldsPodsBack(t *testing.T) {
	for name, c := range map[string]planCase{
		"a pause holds moves, promotion and new pods": {
			Input{Current: revisionA, Update: revisionB, Paused: true, Strategy: rolling("9", ""), Pods: fleet("aABB-")},
			expectation{current: "A", fresh: "A", held: 3}},
		"a pause holds a never delivered revision too": {
			Input{Current: triedA, Update: revisionB, Paused: true, Strategy: rolling("9", ""), Pods: fleet("aa")},
			expectation{current: "A", fresh: "A", held: 2, complete: true}},
		"a pause at the first revision": {
			Input{Update: revisionA, Paused: true, Strategy: rolling("9", ""), Pods: fleet("--")},
			expectation{current: "A", fresh: "A", held: 2}},
		"OnDelete moves no pod": {
			Input{Current: revisionA, Update: revisionB, Strategy: onDelete, Pods: fleet("aAB-")},
			expectation{current: "A", fresh: "B", held: 3}},
		"OnDelete is done": {
			Input{Current: revisionA, Update: revisionB, Strategy: onDelete, Pods: fleet("BB")},
			expectation{current: "B", fresh: "B", complete: true}},
		"partition holds a number back": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("100%", "3"), Pods: fleet("AAAAA")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 2), held: 3}},
		"partition holds a percentage back, rounded up": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("100%", "50%"), Pods: fleet("AAAAA")},
			expectation{current: "A", fresh: "A", moves: movesTo("B", 2), held: 3}},
		"partition reached": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("100%", "3"), Pods: fleet("AABBA")},
			expectation{current: "A", fresh: "A", held: 3, complete: true}},
		"partition above the number of pods": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("100%", "9"), Pods: fleet("AA")},
			expectation{current: "A", fresh: "A", held: 2, complete: true}},
		"raising the partition takes nothing back": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("100%", "3"), Pods: fleet("BBBA")},
			expectation{current: "A", fresh: "A", held: 1, complete: true}},
		"a held pod on a third revision goes back to the stable one": {
			Input{Current: revisionA, Update: revisionC, Strategy: rolling("100%", "100%"), Pods: fleet("bA")},
			expectation{current: "A", fresh: "A", moves: movesTo("A", 1), held: 2}},
		"partition does not hold a never delivered revision": {
			Input{Current: triedA, Update: revisionB, Strategy: rolling("100%", "100%"), Pods: fleet("aa")},
			expectation{current: "B", fresh: "B", moves: movesTo("B", 2)}},
		"no pods: the next one starts with the newest": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("", "")},
			expectation{current: "B", fresh: "B", complete: true}},
		"no pods, but the update was tried in vain": {
			Input{Current: revisionA, Update: triedB, Strategy: rolling("", "")},
			expectation{current: "A", fresh: "A", complete: true}},
		"no pods and a partition": {
			Input{Current: revisionA, Update: revisionB, Strategy: rolling("", "50%")},
			expectation{current: "A", fresh: "A", complete: true}},
	} {
		check(t, name, c.in, c.want)
	}
}

func TestPlanDoesNotDependOnTheOrderOfPods(t *testing.T) {
	in := Input{Current: Revision{"A", Delivered}, Update: Revision{"B", Untried}, Strategy: rolling("2", ""), Pods: fleet("AAAAAAAA")}
	first := Decide(in)
	reversed := make([]Pod, 0, len(in.Pods))
	for i := len(in.Pods) - 1; i >= 0; i-- {
		reversed = append(reversed, in.Pods[i])
	}
	in.Pods = reversed
	if second := Decide(in); fmt.Sprint(first.Moves) != fmt.Sprint(second.Moves) {
		t.Errorf("the order of the list decides: %v, then %v", first.Moves, second.Moves)
	}
}
