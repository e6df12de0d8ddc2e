// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/race"
)

// row has Kuda, a fast and a slow peer, and one that failed.
func row() *Row {
	r := &Row{Name: "object", Bytes: 2e9}
	outcome := func(name string, kind client.Kind, walls ...float64) race.Outcome {
		o := race.Outcome{Client: client.Client{Name: name, Kind: kind}}
		for _, w := range walls {
			o.Samples = append(o.Samples, race.Sample{Wall: w, CPU: w / 2, RSS: int64(w) << 20, Flush: 1})
		}
		return o
	}
	broken := outcome("other", client.Peer, 0.1)
	broken.Err = errors.New("wrong bytes")
	r.SetClients([]race.Outcome{outcome("kuda", client.Ours, 3, 1, 2), outcome("s5cmd", client.Peer, 6),
		outcome("s5cmd, tuned", client.Peer, 4, 9, 4), broken})
	return r
}

func TestBestPeerIsOneThatSucceeded(t *testing.T) {
	best, ok := row().Best(Client.Time, "")
	if !ok || best.Name != "s5cmd, tuned" || best.Wall != 4 || best.Worst != 9 {
		t.Errorf("got %+v", best)
	}
	if _, ok := row().Best(Client.Time, "rclone"); ok {
		t.Error("there is no rclone")
	}
}

func TestMissedTargetsAreCountedAsMissed(t *testing.T) {
	r := row()
	r.Ratio("faster", " s", 4, 2, true, "s5cmd", AtLeast(2))
	r.Ratio("faster", " s", 3.9, 2, true, "s5cmd", AtLeast(2))
	r.Ratio("smaller", " s", 2, 1, false, "s5cmd", AtMost(1.9))
	r.Ratio("nothing to compare with", " s", 0, 0, false, "s5cmd", AtMost(1))
	r.Ratio("no target", " s", 9, 1, false, "s5cmd", nil)
	whole := Report{Rows: []*Row{r, {Name: "broken", Failed: "no server"}}}
	if missed, goals := whole.Missed(); missed != 4 || goals != 5 {
		t.Errorf("%d of %d missed", missed, goals)
	}
}

func TestTableListsFailures(t *testing.T) {
	var out bytes.Buffer
	whole := Report{Rows: []*Row{row(), {Name: "broken", Failed: "no server"}}, Warnings: []string{"busy"}}
	if err := whole.Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"s5cmd, tuned", "other failed: wrong bytes", "failed: no server", "warning: busy"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if err := whole.Save(filepath.Join(t.TempDir(), "result.json")); err != nil {
		t.Error(err)
	}
}

func TestRatioPrintsOursBeforeTheOther(t *testing.T) {
	r := row()
	r.Ratio("times as fast", " s", 4, 2, true, "s5cmd", nil)
	if got, want := r.Checks[0].String(), "[  ] times as fast: 2 (ours 2 s, s5cmd 4 s)"; got != want {
		t.Errorf("got %s", got)
	}
}
