// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package grafana_test

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/monitoring/internal/grafana"
)

const (
	root  = "../../../../"
	rules = root + "charts/kuda/files/monitoring/rules.yaml"
)

var (
	metric = regexp.MustCompile(`kuda_[a-z_]+`)
	// A metric's name is a literal, or put together of a prefix and a name.
	literal  = regexp.MustCompile(`"(kuda_[a-z_]+)"`)
	composed = []struct {
		file, prefix string
		name         *regexp.Regexp
	}{
		{"delivery/keeper/metrics.go", "kuda_keeper_", regexp.MustCompile(`(?:gauge|counter)\("([a-z_]+)"`)},
		{"gateway/metrics.go", "kuda_gateway_", regexp.MustCompile(`(?:counter|reasons)\("([a-z_]+)"|Name: "([a-z_]+)"`)},
	}
	part = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// shipped returns the names of the metrics that Kuda's source has.
func shipped(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range []string{"internal", "cmd", "scheduler/plugin"} {
		err := filepath.WalkDir(root+dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range literal.FindAllSubmatch(raw, -1) {
				names[string(m[1])] = true
			}
			for _, c := range composed {
				if !strings.HasSuffix(path, c.file) {
					continue
				}
				for _, m := range c.name.FindAllSubmatch(raw, -1) {
					names[c.prefix+string(bytes.Join(m[1:], nil))] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 40 {
		t.Fatalf("the source has %d metrics; the test does not find them any more", len(names))
	}
	return names
}

// checkMetrics reports metrics of a text that Kuda does not have.
func checkMetrics(t *testing.T, where, text string, known map[string]bool) {
	t.Helper()
	for _, name := range metric.FindAllString(text, -1) {
		if !known[name] && !known[part.ReplaceAllString(name, "")] {
			t.Errorf("%s asks for %s, which Kuda does not have", where, name)
		}
	}
}

func TestEachQueryOfADashboardIsAboutMetricsThatKudaHas(t *testing.T) {
	known := shipped(t)
	for _, b := range grafana.Boards() {
		for _, v := range b.Variables {
			checkMetrics(t, b.Name+": variable "+v.Name, v.Query, known)
		}
		for _, r := range b.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					checkMetrics(t, b.Name+": "+p.Title, q.Expr, known)
				}
			}
		}
	}
}

func TestEachAlertIsAboutMetricsThatKudaHas(t *testing.T) {
	raw, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	checkMetrics(t, "rules.yaml", string(raw), shipped(t))
}

func TestEachAlertHasARunbookAndATest(t *testing.T) {
	raw, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(root + "docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../../rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)alert: (\w+)$`).FindAllStringSubmatch(string(raw), -1) {
		alerts[m[1]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(alerts)) {
		if !strings.Contains(string(raw), "docs/troubleshooting.md#"+strings.ToLower(name)+"\n") {
			t.Errorf("%s has no runbook_url of its own", name)
		}
		if !strings.Contains(string(page), "\n### "+name+"\n") {
			t.Errorf("docs/troubleshooting.md has no section %s", name)
		}
		fires := regexp.MustCompile(`alertname: ` + name + `\n\s+exp_alerts:`)
		quiet := regexp.MustCompile(`alertname: ` + name + `\}`)
		if !fires.Match(tests) || !quiet.Match(tests) {
			t.Errorf("rules_test.yaml does not show %s both firing and not firing", name)
		}
	}
}

func TestDashboardsOfTheChartAreThese(t *testing.T) {
	for _, b := range grafana.Boards() {
		want, err := b.JSON()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(root + "charts/kuda/files/grafana/" + b.Name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s: run make generate (-code +chart)\n%s", b.Name, d)
		}
	}
}
