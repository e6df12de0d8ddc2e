// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/hack/chart/internal/render"
	"github.com/kuda-io/kuda/internal/config"
)

const chartDir = "../../../../charts/kuda"

func load(t *testing.T) *render.Chart {
	t.Helper()
	c, err := render.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// schema is the part of a JSON schema that says which fields there are.
type schema struct {
	Type                 any               `json:"type"`
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties any               `json:"additionalProperties"`
}

func TestSchemaHasEachValueAndNoOther(t *testing.T) {
	raw, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	compareSchema(t, "", s, load(t).Values())
}

func compareSchema(t *testing.T, path string, s schema, values map[string]any) {
	t.Helper()
	if s.Properties == nil {
		return // free: such as resources
	}
	if s.AdditionalProperties != false {
		t.Errorf("%s: additionalProperties is not false, so a misspelt value is not refused", path)
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(s.Properties))); d != "" {
		t.Errorf("%s (-values +schema)\n%s", path, d)
	}
	for name, value := range values {
		if inner, ok := value.(map[string]any); ok {
			compareSchema(t, path+"."+name, s.Properties[name], inner)
		}
	}
}

func TestReadmeListsEachValueWithItsMeaning(t *testing.T) {
	raw, err := os.ReadFile(chartDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		if cells := strings.Split(line, " | "); len(cells) == 3 && strings.HasPrefix(line, "| `") {
			rows[strings.Trim(cells[0], "| `")] = strings.Trim(cells[2], " |\n") != ""
		}
	}
	for _, name := range leaves("", load(t).Values()) {
		if !covered(rows, name) {
			t.Errorf("the table of README.md does not say what %s means", name)
		}
	}
}

// covered reports whether a value, or a map that it is in, has a row.
func covered(rows map[string]bool, name string) bool {
	for name != "" {
		if rows[name] {
			return true
		}
		name = name[:max(strings.LastIndex(name, "."), 0)]
	}
	return false
}

func leaves(path string, values map[string]any) []string {
	var all []string
	for name, value := range values {
		name = strings.TrimPrefix(path+"."+name, ".")
		if inner, ok := value.(map[string]any); ok && len(inner) > 0 {
			all = append(all, leaves(name, inner)...)
			continue
		}
		all = append(all, name)
	}
	return all
}

func TestUnknownAndWrongValuesAreRefusedByName(t *testing.T) {
	for want, values := range map[string]map[string]any{
		"replica":         {"manager": map[string]any{"replica": 3}},
		"webhooks":        {"webhooks": map[string]any{}},
		"runtimeImages":   {"config": map[string]any{"runtimeImages": "x"}},
		"storeMode":       {"config": map[string]any{"storeMode": "Nodes"}},
		"imagePullPolicy": {"global": map[string]any{"imagePullPolicy": "Sometimes"}},
		"hostPath":        {"config": map[string]any{"hostPath": "var/lib"}},
	} {
		_, err := load(t).Files("kuda-system", values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: the error does not name %s: %v", values, want, err)
		}
	}
}

func TestEachFieldOfTheConfigurationIsAValue(t *testing.T) {
	var fields []string
	for f := range reflect.TypeFor[config.Config]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	slices.Sort(fields)
	values := load(t).Values()["config"].(map[string]any)
	if d := cmp.Diff(fields, slices.Sorted(maps.Keys(values))); d != "" {
		t.Errorf("(-kuda-config +values)\n%s", d)
	}
}
