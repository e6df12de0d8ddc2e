// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package race

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/test/bench/internal/client"
	"github.com/kuda-io/kuda/test/bench/internal/content"
)

var tree = content.Tree{{Path: "f", Size: 3, Seed: 1}}

// copier is a client that copies a directory.
func copier(name, from string) client.Client {
	return client.Client{Name: name, Command: func(p client.Place) *exec.Cmd {
		return exec.Command("cp", "-r", from+"/.", p.Out())
	}}
}

func run(t *testing.T, r Race) ([]Outcome, []string) {
	t.Helper()
	var order []string
	r.Dir, r.Limit = t.TempDir(), time.Minute
	r.Log = func(format string, args ...any) {
		// A run that the host disturbed is made again, out of turn.
		if !strings.Contains(format, "again") {
			order = append(order, strings.TrimSpace(args[0].(string)))
		}
	}
	outcomes, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return outcomes, order
}

func source(t *testing.T) (string, content.Sums) {
	t.Helper()
	dir := t.TempDir()
	sums, err := tree.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, sums
}

func TestClientsTakeTurnsToGoFirst(t *testing.T) {
	dir, sums := source(t)
	outcomes, order := run(t, Race{Clients: []client.Client{copier("a", dir), copier("b", dir), copier("c", dir)}, Runs: 3, Sums: sums})
	if want := strings.Fields("a b c b c a c a b"); !slices.Equal(order, want) {
		t.Errorf("the order was %v", order)
	}
	for _, o := range outcomes {
		if len(o.Samples) != 3 || o.Err != nil {
			t.Errorf("%s: %d samples, %v", o.Client.Name, len(o.Samples), o.Err)
		}
	}
}

func TestClientWithTheWrongBytesFails(t *testing.T) {
	dir, sums := source(t)
	other := t.TempDir()
	changed, _ := tree.Change(func(content.File) bool { return true })
	if _, err := changed.Write(other); err != nil {
		t.Fatal(err)
	}
	outcomes, _ := run(t, Race{Clients: []client.Client{copier("good", dir), copier("bad", other)}, Runs: 2, Sums: sums})
	if o := outcomes[0]; o.Err != nil || len(o.Samples) != 2 {
		t.Errorf("good: %d samples, %v", len(o.Samples), o.Err)
	}
	if o := outcomes[1]; o.Err == nil || len(o.Samples) != 0 {
		t.Errorf("bad: %d samples, %v", len(o.Samples), o.Err)
	}
}

func TestClientThatCannotRunIsListedWithItsError(t *testing.T) {
	dir, sums := source(t)
	broken := errors.New("no such package")
	outcomes, _ := run(t, Race{Clients: []client.Client{client.Broken("gone", broken), copier("a", dir)}, Runs: 1, Sums: sums})
	if len(outcomes) != 2 || !errors.Is(outcomes[0].Err, broken) || len(outcomes[1].Samples) != 1 {
		t.Errorf("got %+v", outcomes)
	}
}

func TestMedianIsTheMiddleValue(t *testing.T) {
	for want, all := range map[float64][]float64{0: nil, 2: {9, 1, 2}, 2.5: {9, 1, 2, 3}, 7: {7}} {
		if got := Median(all); got != want {
			t.Errorf("%v: %v", all, got)
		}
	}
}
