// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func query(success, failure string) v1alpha1.AnalysisStep {
	return v1alpha1.AnalysisStep{
		Prometheus:       &v1alpha1.PrometheusQuery{Address: "http://prometheus.monitoring:9090", Query: "up"},
		SuccessCondition: success, FailureCondition: failure,
	}
}

func call(success, failure string) v1alpha1.AnalysisStep {
	return v1alpha1.AnalysisStep{
		HTTP:             &v1alpha1.HTTPCheck{URL: "http://checks.shop/models"},
		SuccessCondition: success, FailureCondition: failure,
	}
}

func TestAStepThatCannotBeTakenIsRefusedByItsField(t *testing.T) {
	server := func(address string) v1alpha1.AnalysisStep {
		s := query("result[0] < 1", "")
		s.Prometheus.Address = address
		return s
	}
	page := func(url string) v1alpha1.AnalysisStep {
		s := call("", "")
		s.HTTP.URL = url
		return s
	}
	for name, c := range map[string]struct {
		step v1alpha1.AnalysisStep
		want string
	}{
		"a typo":             {query("reslt[0] < 1", ""), "successCondition: line 1, column 1: undeclared reference to 'reslt'"},
		"half an expression": {query("", "result[0] <"), "failureCondition: line 1, column 12: Syntax error"},
		"a number":           {query("result[0]", ""), "successCondition: must be true or false"},
		"a query's status":   {query("status == 200", ""), "successCondition: line 1, column 1: undeclared reference to 'status'"},
		"a query's field": {query("result.healthy", ""),
			"successCondition: line 1, column 7: type 'list(double)' does not support field selection"},
		"text for a status": {call("status == '200'", ""), "successCondition: line 1, column 8: found no matching overload"},
		"a number without a point": {query("result[0] == 7", ""),
			"successCondition: line 1, column 11: found no matching overload for '_==_' applied to '(double, int)'; write the number with a point"},
		"a pattern that is none":      {call("result.text.matches('[a-')", ""), "successCondition: line 1, column 21: invalid matches argument"},
		"an enormous pattern":         {call("result.text.matches('((a{100}){100}){100}')", ""), "successCondition: line 1, column 21"},
		"an expression full of loops": {call(strings.Repeat("[1,2,3].all(x,", 60)+"true"+strings.Repeat(")", 60), ""), ""},
		"no host":                     {server("http://:9090"), "prometheus.address: must be an address"},
		"another scheme":              {page("file:///etc/passwd"), "http.url: must be an address"},
		"no URL":                      {page("http://[::1"), "http.url: must be an address"},
		"a password":                  {page("http://u:p@checks.shop/"), "http.url: must not have a user"},
		"a fragment":                  {page("http://checks.shop/#top"), "http.url: must have no fragment"},
		"a port out of range":         {server("http://prometheus:99999"), "prometheus.address: the port must be from 1 to 65535"},
		"a query in the address":      {server("http://prometheus:9090/?query=up"), "prometheus.address: must be the server's address alone"},
		"the manager itself":          {page("http://127.0.0.1:8080/metrics"), "http.url: 127.0.0.1 leads to the manager itself"},
		"the manager itself, IPv6":    {page("http://[::1]:8080/metrics"), "http.url: ::1 leads to the manager itself"},
		"a cloud's metadata": {page("http://169.254.169.254/latest/meta-data"),
			"http.url: 169.254.169.254 leads to a metadata service"},
		"a cloud's metadata, embedded": {page("http://[::ffff:169.254.169.254]/"), "http.url: 169.254.169.254 leads to a metadata service"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(c.step)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
				t.Errorf("got %v; want %s", err, c.want)
			}
		})
	}
}

func TestEveryWrongFieldIsNamed(t *testing.T) {
	step := query("reslt", "reslt")
	step.Prometheus.Address = "ftp://x"
	var fields []string
	for _, p := range Problems(step) {
		fields = append(fields, p.Field)
	}
	if got := strings.Join(fields, " "); got != "prometheus.address successCondition failureCondition" {
		t.Errorf("got %s", got)
	}
}

func TestDocumentedConditionsCompile(t *testing.T) {
	for _, step := range []v1alpha1.AnalysisStep{
		query("result[0] < 0.01", ""),
		query("result[0] < 1", "result[0] > 10"),
		query("result.all(r, r < 0.01)", ""),
		query("size(result) == 3 && result.exists(r, r > 0.5)", ""),
		call("", ""),
		call("result.healthy", "status >= 500"),
		call("status == 200 && result.errors < 5", ""),
		call("result.models['search'].state == 'ready'", "result == null"),
	} {
		if err := Check(step); err != nil {
			t.Errorf("%s: %v", step.SuccessCondition, err)
		}
	}
}

func holds(t *testing.T, step v1alpha1.AnalysisStep, variables map[string]any) (bool, error) {
	t.Helper()
	return evaluateCondition(t.Context(), &step, step.SuccessCondition, reading{variables: variables})
}

func TestConditionsSeeWhatWasRead(t *testing.T) {
	body := map[string]any{"healthy": true, "errors": 3.0, "names": []any{"a", "b"}, "none": nil}
	for text, want := range map[string]bool{
		"result.healthy":                     true,
		"result.errors == 3":                 true,
		"result.errors < 3":                  false,
		"result.names[1] == 'b'":             true,
		"result.none == null":                true,
		"has(result.other)":                  false,
		"status == 200":                      true,
		"status >= 500 || result.errors > 2": true,
	} {
		got, err := holds(t, call(text, ""), map[string]any{resultVariable: body, statusVariable: int64(200)})
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	got, err := holds(t, query("result.all(r, r < 1) && result[1] == 0.25", ""), map[string]any{resultVariable: []float64{0.5, 0.25}})
	if err != nil || !got {
		t.Errorf("a query: got %v, %v", got, err)
	}
}

func TestAConditionThatFailsSaysWhyAndQuotesNoValue(t *testing.T) {
	body := map[string]any{"secret": "hunter2", "list": []any{}, "keys": map[string]any{}}
	for text, want := range map[string]string{
		"result.missing":                   "asks for missing",
		"result.list[0]":                   "asks for an element",
		"result.secret < 1":                "uses a value as a type",
		"result.secret":                    "gives string",
		"int(result.secret) > 1":           "could not be evaluated",
		"duration(result.secret) == null":  "",
		"result.keys[result.secret]":       "could not be evaluated",
		"timestamp(result.secret) == null": "",
	} {
		_, err := holds(t, call(text, ""), map[string]any{resultVariable: body, statusVariable: int64(200)})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v; want %s", text, err, want)
		}
	}
}

// An author who writes a condition and serves what it reads must not keep the manager
// busy.
func TestExpensiveConditionsAreStopped(t *testing.T) {
	many := make([]any, 100_000)
	for i := range many {
		many[i] = float64(i)
	}
	text := strings.Repeat("a", 1<<20)
	body := map[string]any{"many": many, "text": text, "nested": []any{many}}
	loops := "result.many.all(a, result.many.all(b, result.many.all(c, a + b + c >= 0.0)))"
	for name, condition := range map[string]string{
		"loops in loops":                   loops,
		"doubled text":                     "(" + strings.TrimSuffix(strings.Repeat("result.text+", 80), "+") + ").size() > 0",
		"text in loops":                    "result.many.all(a, result.text.contains('b') == false)",
		"a pattern over and over":          "result.many.all(a, !result.text.matches('(a*)*b'))",
		"comparing more than the eye sees": "result.many.all(a, result.nested == result.nested)",
		"lists of lists":                   "size(result.many.map(a, result.many.map(b, result.many))) > 0",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := holds(t, call(condition, ""), map[string]any{resultVariable: body, statusVariable: int64(200)})
			if err == nil || !strings.Contains(err.Error(), "too much work") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnEvaluationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	step := query("result.all(r, r < 1)", "")
	_, err := evaluateCondition(ctx, &step, step.SuccessCondition, reading{variables: map[string]any{resultVariable: []float64{1, 2}}})
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
