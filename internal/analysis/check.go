// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Problem is what is wrong with one field of a step.
type Problem struct {
	// Field below the step, such as prometheus.address.
	Field string
	Value string
	// Detail says what is wrong and what to write instead.
	Detail string
}

// Check reports whether a step can be taken: its address can be called, and its
// conditions compile. The error names every field that is wrong.
func Check(step v1alpha1.AnalysisStep) error {
	var errs []error
	for _, p := range Problems(step) {
		errs = append(errs, fmt.Errorf("%s: %s", p.Field, p.Detail))
	}
	return errors.Join(errs...)
}

// Problems are Check's in parts, for a caller that knows the field's whole path.
func Problems(step v1alpha1.AnalysisStep) []Problem {
	var problems []Problem
	add := func(field, value string, err error) {
		if err != nil {
			problems = append(problems, Problem{Field: field, Value: value, Detail: err.Error()})
		}
	}
	switch {
	case step.Prometheus != nil:
		add("prometheus.address", step.Prometheus.Address, checkServer(step.Prometheus.Address))
	case step.HTTP != nil:
		add("http.url", step.HTTP.URL, checkAddress(step.HTTP.URL))
	}
	env, err := stepEnvironment(step)
	if err != nil {
		return append(problems, Problem{Field: "successCondition", Value: step.SuccessCondition, Detail: err.Error()})
	}
	for _, c := range []struct{ field, text string }{
		{"successCondition", step.SuccessCondition}, {"failureCondition", step.FailureCondition},
	} {
		if c.text != "" {
			_, err := compileCondition(env, c.text)
			add(c.field, c.text, err)
		}
	}
	return problems
}

func stepEnvironment(step v1alpha1.AnalysisStep) (*cel.Env, error) {
	if step.Prometheus != nil {
		return queryEnvironment()
	}
	return callEnvironment()
}

// checkServer checks the address of a Prometheus server, below which its API is.
func checkServer(address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	if u, err := url.Parse(address); err != nil || u.RawQuery != "" || u.ForceQuery {
		return errors.New("must be the server's address alone, such as http://prometheus.monitoring:9090; the query has a field of its own")
	}
	return nil
}

// checkAddress refuses what can never be called, whatever the installation allows.
func checkAddress(address string) error {
	u, err := parseAddress(address)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return checkIP(ip)
	}
	return nil
}

func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return nil, errors.New("must be an address such as http://prometheus.monitoring:9090")
	case u.User != nil:
		return nil, errors.New("must not have a user or a password: whoever may read the DataSet could read them, and the manager sends none")
	case strings.Contains(address, "#"):
		return nil, errors.New("must have no fragment (#…): it is never sent")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("the port must be from 1 to 65535, not %s", port)
		}
	}
	return u, nil
}
