// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

const kind = "argocd/data.kuda.io/DataSet"

// healthTests is health_test.yaml, as Argo CD reads it.
type healthTests struct {
	Tests []struct {
		HealthStatus struct{ Status, Message string } `json:"healthStatus"`
		InputPath    string                           `json:"inputPath"`
	} `json:"tests"`
}

// actionTests is action_test.yaml, as Argo CD reads it.
type actionTests struct {
	DiscoveryTests []struct {
		InputPath string `json:"inputPath"`
		Result    []struct {
			Name     string `json:"name"`
			Disabled bool   `json:"disabled"`
		} `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

func TestEachStateHasTheHealthThatArgoShows(t *testing.T) {
	var all healthTests
	readYAML(t, filepath.Join(kind, "health_test.yaml"), &all)
	for _, c := range all.Tests {
		var object map[string]any
		readYAML(t, filepath.Join(kind, c.InputPath), &object)
		got := runScript(t, filepath.Join(kind, "health.lua"), object).(map[string]any)
		want := map[string]any{"status": c.HealthStatus.Status, "message": c.HealthStatus.Message}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.InputPath, d)
		}
	}
}

func TestActionsAreOfferedWhereTheyMakeSense(t *testing.T) {
	var all actionTests
	readYAML(t, filepath.Join(kind, "actions/action_test.yaml"), &all)
	for _, c := range all.DiscoveryTests {
		var object map[string]any
		readYAML(t, filepath.Join(kind, "actions", c.InputPath), &object)
		want := map[string]any{}
		for _, r := range c.Result {
			want[r.Name] = map[string]any{"disabled": r.Disabled}
			if _, err := os.Stat(filepath.Join(kind, "actions", r.Name, "action.lua")); err != nil {
				t.Errorf("%s is offered and has no script: %v", r.Name, err)
			}
		}
		got := runScript(t, filepath.Join(kind, "actions/discovery.lua"), object)
		if d := cmp.Diff(any(want), got); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.InputPath, d)
		}
	}
}

var stamp = regexp.MustCompile(`argocd-\d{14}$`)

func TestActionsChangeWhatKubectlKudaWouldChange(t *testing.T) {
	var all actionTests
	readYAML(t, filepath.Join(kind, "actions/action_test.yaml"), &all)
	for _, c := range all.ActionTests {
		var object, want map[string]any
		readYAML(t, filepath.Join(kind, "actions", c.InputPath), &object)
		readYAML(t, filepath.Join(kind, "actions", c.ExpectedOutputPath), &want)
		got := runScript(t, filepath.Join(kind, "actions", c.Action, "action.lua"), object).(map[string]any)
		notes, _ := got["metadata"].(map[string]any)["annotations"].(map[string]any)
		if request, ok := notes["kuda.io/rollout-request"].(string); ok {
			notes["kuda.io/rollout-request"] = stamp.ReplaceAllString(request, "argocd-TIME")
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s of %s (-want +got)\n%s", c.Action, c.InputPath, d)
		}
	}
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// runScript runs a script as Argo CD does: with the object as the variable obj, and of
// the libraries those that read no file and run no program.
func runScript(t *testing.T, file string, object map[string]any) any {
	t.Helper()
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString,
	} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	l.PreloadModule("os", openClock)
	l.SetGlobal("obj", toLua(l, object))
	if err := l.DoString(string(script)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return fromLua(l.Get(-1))
}

// openClock is the library os with what Argo CD leaves of it: the time.
func openClock(l *lua.LState) int {
	lua.OpenOs(l)
	whole := l.Get(-1).(*lua.LTable)
	safe := l.NewTable()
	for _, name := range []string{"date", "time"} {
		safe.RawSetString(name, whole.RawGetString(name))
	}
	l.Push(safe)
	return 1
}

func toLua(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, inner := range v {
			table.RawSetString(key, toLua(l, inner))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, inner := range v {
			table.Append(toLua(l, inner))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case nil:
		return lua.LNil
	}
	panic(fmt.Sprintf("a value of type %T is not in YAML", value))
}

func fromLua(value lua.LValue) any {
	switch v := value.(type) {
	case *lua.LTable:
		if v.Len() > 0 {
			var list []any
			v.ForEach(func(_, inner lua.LValue) { list = append(list, fromLua(inner)) })
			return list
		}
		table := map[string]any{}
		v.ForEach(func(key, inner lua.LValue) { table[key.String()] = fromLua(inner) })
		return table
	case lua.LString:
		return string(v)
	case lua.LBool:
		return bool(v)
	case lua.LNumber:
		return float64(v)
	}
	return nil
}

// Of a script nothing but obj may be global: Argo CD may run scripts one after another.
func TestScriptsDeclareTheirVariables(t *testing.T) {
	scripts, err := filepath.Glob(kind + "/*.lua")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(kind + "/actions/*/*.lua")
	if err != nil {
		t.Fatal(err)
	}
	assignment := regexp.MustCompile(`(?m)^([a-z_]+) =`)
	for _, file := range append(scripts, more...) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m := assignment.FindString(string(raw)); m != "" && !strings.HasPrefix(m, "obj") {
			t.Errorf("%s: %q is global", file, m)
		}
	}
}
