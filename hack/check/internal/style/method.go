// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package style

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"

	"github.com/kuda-io/kuda/hack/check/internal/exception"
	"github.com/kuda-io/kuda/hack/check/internal/tree"
)

// MaxMethods is how many methods a type may have.
const MaxMethods = 30

type typeName struct{ dir, pkg, name string }

type methodCount struct {
	methods int
	place   string
}

// CheckMethods judges how many methods a type has, an interface too. Methods that
// tests add to a type count: they share its state as the others do.
func CheckMethods(files []tree.Go) []exception.Finding {
	types := map[typeName]*methodCount{}
	count := func(g tree.Go, name string, methods int, pos token.Pos) *methodCount {
		key := typeName{g.Dir(), g.AST.Name.Name, name}
		if types[key] == nil {
			types[key] = &methodCount{place: g.Place(pos)}
		}
		types[key].methods += methods
		return types[key]
	}
	for _, g := range files {
		if g.IsGenerated() {
			continue
		}
		for _, d := range g.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if name := receiverName(d); name != "" {
					count(g, name, 1, d.Pos())
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if t, ok := spec.(*ast.TypeSpec); ok {
						count(g, t.Name.Name, interfaceMethods(t), t.Pos()).place = g.Place(t.Pos())
					}
				}
			}
		}
	}
	var findings []exception.Finding
	for key, c := range types {
		if c.methods > MaxMethods {
			findings = append(findings, exception.Finding{
				ID: "too-many-methods", Where: key.dir + "." + key.name,
				Message: fmt.Sprintf("%s: %d methods, at most %d: give a part with state of its own a type of its own",
					c.place, c.methods, MaxMethods)})
		}
	}
	slices.SortFunc(findings, func(a, b exception.Finding) int { return cmp.Compare(a.Where, b.Where) })
	return findings
}

// receiverName returns the name of the type that a method belongs to; empty for
// a function.
func receiverName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) != 1 {
		return ""
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func interfaceMethods(t *ast.TypeSpec) int {
	i, ok := t.Type.(*ast.InterfaceType)
	if !ok {
		return 0
	}
	n := 0
	for _, m := range i.Methods.List {
		n += len(m.Names)
	}
	return n
}
