// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/internal/insight/diff"
	"github.com/kuda-io/kuda/internal/insight/doctor"
	"github.com/kuda-io/kuda/internal/insight/files"
	"github.com/kuda-io/kuda/internal/insight/history"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/insight/why"
)

// roots are the answers and requests, by the name that the page knows them by.
var roots = []struct {
	name  string
	value any
}{
	{"Me", Me{}}, {"Access", Access{}}, {"DataSets", DataSets{}}, {"Scene", Scene{}}, {"Event", Event{}}, {"Text", Text{}},
	{"Pod", Pod{}}, {"SteerRequest", SteerRequest{}}, {"SteerResult", SteerResult{}}, {"Problem", Problem{}}, {"SignIn", SignIn{}},
	{"HistoryEntry", history.Entry{}}, {"Diff", diff.Result{}}, {"Nodes", nodes.View{}}, {"Why", why.View{}}, {"Files", files.View{}},
	{"Report", doctor.Report{}},
}

// times are types that JSON has as text.
var texts = []reflect.Type{reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime](), reflect.TypeFor[metav1.Duration]()}

// TypeScript returns the declarations of all types that the page exchanges with the server.
func TypeScript() string {
	w := &writer{names: map[reflect.Type]string{}, taken: map[string]bool{}}
	for _, root := range roots {
		t := reflect.TypeOf(root.value)
		w.names[t], w.taken[root.name] = root.name, true
	}
	for _, root := range roots {
		w.declareType(reflect.TypeOf(root.value))
	}
	for len(w.pending) > 0 {
		t := w.pending[0]
		w.pending = w.pending[1:]
		w.declareType(t)
	}
	slices.Sort(w.parts)
	return "// Copyright The Kuda Authors.\n// SPDX-License-Identifier: Apache-2.0\n\n" +
		"// Generated from internal/dashboard/contract; do not edit.\n\n" + strings.Join(w.parts, "\n")
}

type writer struct {
	names   map[reflect.Type]string
	taken   map[string]bool
	pending []reflect.Type
	parts   []string
}

func (w *writer) declareType(t reflect.Type) {
	var b strings.Builder
	fmt.Fprintf(&b, "export interface %s {\n", w.names[t])
	w.writeFields(&b, t)
	b.WriteString("}\n")
	w.parts = append(w.parts, b.String())
}

func (w *writer) writeFields(b *strings.Builder, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			w.writeFields(b, f.Type)
			continue
		}
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		mark := ""
		if strings.Contains(options, "omit") {
			mark = "?"
		}
		nullable := ""
		if (f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map) && mark == "" {
			nullable = " | null"
		}
		fmt.Fprintf(b, "  %s%s: %s%s;\n", name, mark, w.typeOf(f.Type), nullable)
	}
}

func (w *writer) typeOf(t reflect.Type) string {
	switch {
	case slices.Contains(texts, t):
		return "string"
	case t == reflect.TypeFor[intstr.IntOrString]():
		return "number | string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.typeOf(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Slice:
		return "Array<" + w.typeOf(t.Elem()) + ">"
	case reflect.Map:
		return "Record<string, " + w.typeOf(t.Elem()) + ">"
	case reflect.Struct:
		return w.nameOf(t)
	}
	return "number"
}

// nameOf returns the name of a struct; one that is taken gets its package's before it.
func (w *writer) nameOf(t reflect.Type) string {
	if name, ok := w.names[t]; ok {
		return name
	}
	name := t.Name()
	if w.taken[name] {
		pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	w.names[t], w.taken[name] = name, true
	w.pending = append(w.pending, t)
	return name
}
