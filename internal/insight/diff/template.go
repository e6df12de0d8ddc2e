// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// How a thing differs.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Change is an item, a source or a part of the spec that differs.
type Change struct {
	// Name of the thing: namespace/name of an item, the type of a source.
	Name string `json:"name"`
	// Change is added, removed or changed.
	Change string `json:"change"`
	// Fields that differ; of an added or removed thing all that it has.
	Fields []Field `json:"fields,omitempty"`
}

// Field is a value that differs; empty is absent.
type Field struct {
	Path string `json:"path"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Template is how two templates differ.
type Template struct {
	Items   []Change `json:"items,omitempty"`
	Sources []Change `json:"sources,omitempty"`
	// Lifecycle is that of the DataSet as a whole.
	Lifecycle []Field `json:"lifecycle,omitempty"`
}

func (t Template) isEmpty() bool {
	return len(t.Items) == 0 && len(t.Sources) == 0 && len(t.Lifecycle) == 0
}

// compareTemplates says how two templates differ; either may be nil, for none.
func compareTemplates(from, to *v1alpha1.DataTemplateSpec) (Template, error) {
	var t Template
	var err error
	if from == nil {
		from = &v1alpha1.DataTemplateSpec{}
	}
	if to == nil {
		to = &v1alpha1.DataTemplateSpec{}
	}
	if t.Items, err = compareThings(itemsByName(from), itemsByName(to)); err != nil {
		return t, err
	}
	if t.Sources, err = CompareParts(from.DataSources, to.DataSources); err != nil {
		return t, err
	}
	t.Lifecycle, err = compareFields(from.Lifecycle, to.Lifecycle)
	return t, err
}

func itemsByName(t *v1alpha1.DataTemplateSpec) map[string]any {
	items := make(map[string]any, len(t.DataItems))
	for _, item := range t.DataItems {
		name := item.Namespace + "/" + item.Name
		// They are the name; the rest is what may differ.
		item.Namespace, item.Name = "", ""
		items[name] = item
	}
	return items
}

// CompareParts compares two values of a struct, part by part.
func CompareParts(from, to any) ([]Change, error) {
	a, err := fieldMap(from)
	if err != nil {
		return nil, err
	}
	b, err := fieldMap(to)
	if err != nil {
		return nil, err
	}
	return compareThings(a, b)
}

func fieldMap(value any) (map[string]any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	return m, nil
}

func compareThings(from, to map[string]any) ([]Change, error) {
	names := maps.Clone(from)
	maps.Copy(names, to)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, had := from[name]
		b, has := to[name]
		fields, err := compareFields(a, b)
		switch {
		case err != nil:
			return nil, err
		case !had:
			changes = append(changes, Change{Name: name, Change: Added, Fields: fields})
		case !has:
			changes = append(changes, Change{Name: name, Change: Removed, Fields: fields})
		case len(fields) > 0:
			changes = append(changes, Change{Name: name, Change: Changed, Fields: fields})
		}
	}
	return changes, nil
}

// compareFields compares two values field by field, at any depth. Lists are
// compared as a whole.
func compareFields(from, to any) ([]Field, error) {
	a, err := flattenFields(from)
	if err != nil {
		return nil, err
	}
	b, err := flattenFields(to)
	if err != nil {
		return nil, err
	}
	paths := maps.Clone(a)
	maps.Copy(paths, b)
	var fields []Field
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if a[path] != b[path] {
			fields = append(fields, Field{Path: path, From: a[path], To: b[path]})
		}
	}
	return fields, nil
}

// flattenFields returns the values of all fields, by their path.
func flattenFields(value any) (map[string]string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	var decoded any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	flat := make(map[string]string)
	flattenInto(flat, "", decoded)
	return flat, nil
}

func flattenInto(flat map[string]string, at string, value any) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for name, below := range v {
			flattenInto(flat, strings.TrimPrefix(at+"."+name, "."), below)
		}
		if len(v) == 0 && at != "" {
			flat[at] = "{}"
		}
	case string:
		if v != "" {
			flat[at] = v
		}
	case float64:
		flat[at] = formatNumber(at, v)
	default:
		raw, _ := json.Marshal(v)
		flat[at] = string(raw)
	}
}

// formatNumber writes permission bits as people do.
func formatNumber(at string, v float64) string {
	if at == "mode" {
		return fmt.Sprintf("%04o", int64(v))
	}
	return fmt.Sprintf("%d", int64(v))
}
