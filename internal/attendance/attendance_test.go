// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func seconds(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }

// always is a connection over which something came at a time.
func always(at time.Time) func() time.Time { return func() time.Time { return at } }

func has(l List, pod types.UID) bool { return slices.Contains(l, MarkOf(pod)) }

func TestAListIsReadAsItWasWritten(t *testing.T) {
	var marks []Mark
	for i := range 8192 { // as many as a replica has connections
		marks = append(marks, MarkOf(types.UID(fmt.Sprintf("6f0b1c52-4d0f-4c8e-9d55-%012d", i))))
	}
	want := newList(append(marks, marks[:10]...))
	value := want.encodeMarks()
	got, err := decodeList(value)
	if err != nil || !slices.Equal(got, want) || len(got) < 8190 {
		t.Errorf("%d marks, %v", len(got), err)
	}
	if len(value) > 64<<10 { // annotations of an object may have 256 KiB
		t.Errorf("the list takes %d bytes", len(value))
	}
	if got, err := decodeList(""); err != nil || len(got) != 0 {
		t.Errorf("an empty list: %v, %v", got, err)
	}
	for _, wrong := range []string{"?", "AAAA"} {
		if _, err := decodeList(wrong); err == nil {
			t.Errorf("%q is read", wrong)
		}
	}
}

// look makes the list each second, as the publisher does.
func lookUntil(b *Book, from, to int) (l List) {
	for n := from; n <= to; n++ {
		l = b.Present(seconds(n))
	}
	return l
}

func TestARuntimeThatHangsLeavesTheList(t *testing.T) {
	var b Book
	lookUntil(&b, -30, 0)
	heard := start
	b.Enter("lives", func() time.Time { return heard })
	b.Enter("hangs", always(start))
	for n := range 12 {
		heard = seconds(n)
		if l := b.Present(seconds(n)); !has(l, "lives") || !has(l, "hangs") {
			t.Fatalf("after %d s: %v", n, l)
		}
	}
	heard = seconds(14)
	if l := lookUntil(&b, 12, 14); !has(l, "lives") || has(l, "hangs") {
		t.Errorf("after 14 s: %v", l)
	}
}

func TestARuntimeThatDisconnectsStaysListedForTheHoldTime(t *testing.T) {
	var b Book
	lookUntil(&b, -30, 0)
	first := b.Enter("moves", always(start))
	second := b.Enter("moves", always(seconds(2)))
	first()
	second()
	if l := lookUntil(&b, 1, 14); !has(l, "moves") {
		t.Errorf("12 s after it was heard last: %v", l)
	}
	if l := lookUntil(&b, 15, 15); len(l) != 0 || len(b.left) != 0 || len(b.open) != 0 {
		t.Errorf("then: %v, kept %v", l, b.left)
	}
}

// A replica that stood still has not read what came meanwhile.
func TestAReplicaThatWasPausedRemovesNoRuntimeAtOnce(t *testing.T) {
	var b Book
	lookUntil(&b, 0, 2)
	b.Enter("lives", always(seconds(1)))
	if l := b.Present(seconds(60)); !has(l, "lives") {
		t.Errorf("at once: %v", l)
	}
	if l := lookUntil(&b, 61, 74); has(l, "lives") {
		t.Errorf("when nothing has come since: %v", l)
	}
}

func TestAReplicaThatRestartsKeepsItsListForTheHoldTime(t *testing.T) {
	var b Book
	b.Remember(newList([]Mark{MarkOf("returns")}), start)
	if l := lookUntil(&b, 0, 12); !has(l, "returns") {
		t.Errorf("within %s: %v", Hold, l)
	}
	if l := lookUntil(&b, 13, 14); has(l, "returns") {
		t.Errorf("later: %v", l)
	}
}

// lease is one of a replica with a list of pods; n makes its version.
func lease(replica string, n int, pods ...types.UID) coordinationv1.Lease {
	var marks []Mark
	for _, p := range pods {
		marks = append(marks, MarkOf(p))
	}
	l := coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: leaseName(replica), ResourceVersion: fmt.Sprint(n)}}
	fillLease(&l, replica, newList(marks), start)
	return l
}

func TestALeaderKnowsSinceWhenAPodIsNotHeard(t *testing.T) {
	type leases = []coordinationv1.Lease
	both := []string{"a", "b"}
	type step struct {
		at       int
		leases   leases
		replicas []string
		heard    bool
		// since is in seconds after the start; none: it is not known.
		since int
	}
	const none = -1 << 20
	hold, grace := int(Hold/time.Second), int(unseen/time.Second)
	for name, steps := range map[string][]step{
		"heard by one":                  {{0, leases{lease("a", 1, "p"), lease("b", 1)}, both, true, none}},
		"heard by none, at first":       {{10, leases{lease("a", 1), lease("b", 1)}, both, false, 10 + grace}},
		"a list is missing":             {{0, leases{lease("a", 1)}, both, false, none}},
		"no list at all":                {{0, nil, nil, false, none}},
		"a replica that serves no more": {{0, leases{lease("a", 1), lease("b", 1)}, []string{"b"}, false, grace}},
		"lost": {
			{0, leases{lease("a", 1, "p"), lease("b", 1)}, both, true, none},
			{20, leases{lease("a", 2), lease("b", 1)}, both, false, 20 - hold},
			{25, leases{lease("a", 2), lease("b", 2)}, both, false, 20 - hold},
		},
		"moved": {
			{0, leases{lease("a", 1, "p"), lease("b", 1)}, both, true, none},
			{5, leases{lease("a", 1, "p"), lease("b", 2, "p")}, both, true, none},
			{15, leases{lease("a", 2), lease("b", 2, "p")}, both, true, none},
		},
		"heard again": {
			{0, leases{lease("a", 1, "p")}, nil, true, none},
			{20, leases{lease("a", 2)}, nil, false, 20 - hold},
			{30, leases{lease("a", 3, "p")}, nil, true, none},
			{50, leases{lease("a", 4)}, nil, false, 50 - hold},
		},
		"a replica dies, the runtime comes back": {
			{0, leases{lease("a", 1, "p"), lease("b", 1)}, both, true, none},
			{40, leases{lease("a", 1, "p"), lease("b", 2)}, []string{"b"}, true, none},
			{44, leases{lease("a", 1, "p"), lease("b", 3, "p")}, []string{"b"}, true, none},
			{60, leases{lease("a", 1, "p"), lease("b", 4, "p")}, []string{"b"}, true, none},
		},
		"a replica dies, the runtime does not come back": {
			{0, leases{lease("a", 1, "p"), lease("b", 1)}, both, true, none},
			{46, leases{lease("a", 1, "p"), lease("b", 2)}, []string{"b"}, false, 46 - hold},
		},
		"a replica that is ready renews nothing": {
			{0, leases{lease("a", 1, "p"), lease("b", 1)}, both, true, none},
			{46, leases{lease("a", 1, "p"), lease("b", 2)}, both, false, none},
		},
	} {
		r := NewRoll()
		for i, s := range steps {
			r.Update(s.leases, s.replicas, seconds(s.at))
			heard, since := r.Look("p")
			var want time.Time
			if s.since != none {
				want = seconds(s.since)
			}
			if heard != s.heard || !since.Equal(want) {
				t.Errorf("%s, step %d: %t since %s; want %t since %s", name, i, heard, since, s.heard, want)
			}
		}
	}
}

func TestTheRollForgetsPodsAndLeasesThatAreGone(t *testing.T) {
	r := NewRoll()
	if !r.Update([]coordinationv1.Lease{lease("a", 1, "p", "q")}, nil, start) {
		t.Error("the first list is no news")
	}
	if r.Update([]coordinationv1.Lease{lease("a", 2, "p", "q")}, nil, seconds(1)) {
		t.Error("the same list is news")
	}
	r.Update([]coordinationv1.Lease{lease("a", 3)}, nil, seconds(20))
	r.Keep(map[Mark]struct{}{MarkOf("p"): {}})
	if len(r.lost) != 1 {
		t.Errorf("lost: %v", r.lost)
	}
	if got := r.Abandoned(abandoned, seconds(20).Add(abandoned-time.Second)); len(got) != 0 {
		t.Errorf("too soon: %v", got)
	}
	if got := r.Abandoned(abandoned, seconds(20).Add(abandoned)); !slices.Equal(got, []string{"kuda-gateway-a"}) {
		t.Errorf("abandoned: %v", got)
	}
	r.Update(nil, nil, seconds(30))
	if len(r.lists) != 0 {
		t.Errorf("lists: %v", r.lists)
	}
}
