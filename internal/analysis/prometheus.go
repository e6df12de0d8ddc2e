// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// queried is what a Prometheus server answers to a query, as far as it is looked at:
// https://prometheus.io/docs/prometheus/latest/querying/api/
type queried struct {
	Status   string   `json:"status"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
	Data     struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// series is one element of a vector.
type series struct {
	Value     *sample         `json:"value"`
	Histogram json.RawMessage `json:"histogram"`
}

// sample is a time and a value.
type sample struct{ value float64 }

// UnmarshalJSON reads [1435781451.781, "1"].
func (s *sample) UnmarshalJSON(text []byte) error {
	var pair []any
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a sample of %d parts", len(pair))
	}
	value, ok := pair[1].(string)
	if !ok {
		return errors.New("a sample without a value")
	}
	var err error
	s.value, err = strconv.ParseFloat(value, 64)
	return err
}

// queryRequest asks a Prometheus server.
func queryRequest(ctx context.Context, q *v1alpha1.PrometheusQuery) (*http.Request, error) {
	u, err := parseAddress(q.Address)
	if err != nil {
		return nil, fmt.Errorf("prometheus.address: %w", err)
	}
	form := url.Values{"query": {q.Query}, "timeout": {strconv.Itoa(int(timeLimit.Seconds())) + "s"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("api/v1/query").String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("prometheus.address: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req, nil
}

// readQueried makes values of an answer.
func readQueried(a answer) (reading, error) {
	values, warnings, err := parseQueried(a)
	if err != nil {
		return reading{}, fmt.Errorf("asking %s: %w", a.host, err)
	}
	found := "result " + formatValues(values)
	if len(warnings) > 0 {
		found += "; the server warns: " + truncateText(strings.Join(warnings, "; "), maxQuoted)
	}
	return reading{found: found, variables: map[string]any{resultVariable: values}}, nil
}

// parseQueried reads the values of an answer: at least one, and all of them numbers.
func parseQueried(a answer) (values []float64, warnings []string, err error) {
	var q queried
	if err := json.Unmarshal(a.body, &q); err != nil || q.Status == "" {
		return nil, nil, fmt.Errorf("the answer (status %d) is not that of a Prometheus server; give the address below which it has "+
			"/api/v1/query", a.status)
	}
	if q.Status != "success" {
		return nil, nil, fmt.Errorf("the server refused the query (status %d): %s", a.status, truncateText(q.Error, maxQuoted))
	}
	switch q.Data.ResultType {
	case "scalar":
		var s sample
		err = json.Unmarshal(q.Data.Result, &s)
		values = []float64{s.value}
	case "vector":
		values, err = parseVector(q.Data.Result)
	default:
		return nil, nil, fmt.Errorf("the query gives a %s; an instant vector or a scalar is needed, as by rate(…), sum(…) or avg_over_time(…)",
			truncateText(q.Data.ResultType, maxQuoted))
	}
	if err != nil {
		return nil, nil, err
	}
	for _, v := range values {
		if math.IsNaN(v) {
			return nil, nil, errors.New("the query gives NaN, which is neither good nor bad (was there nothing to divide by?); end it with: >= " +
				"0 or on() vector(0)")
		}
	}
	return values, q.Warnings, nil
}

func parseVector(text json.RawMessage) ([]float64, error) {
	var vector []series
	if err := json.Unmarshal(text, &vector); err != nil {
		return nil, fmt.Errorf("the server's answer has an unknown form: %w", err)
	}
	if len(vector) == 0 {
		return nil, errors.New("the query gives nothing: no time series matches it; correct it, or end it with: or on() vector(0)")
	}
	values := make([]float64, 0, len(vector))
	for _, s := range vector {
		switch {
		case s.Value != nil:
			values = append(values, s.sampleValue())
		case len(s.Histogram) > 0:
			return nil, errors.New("the query gives a histogram; make a number of it, as by histogram_quantile(…)")
		default:
			return nil, errors.New("the server's answer has an unknown form: a time series without a value")
		}
	}
	return values, nil
}

func (s series) sampleValue() float64 { return s.Value.value }

// maxListed is how many values a message shows.
const maxListed = 8

// formatValues writes values for people.
func formatValues(values []float64) string {
	texts := make([]string, 0, maxListed)
	for _, v := range values[:min(len(values), maxListed)] {
		texts = append(texts, strconv.FormatFloat(v, 'g', 6, 64))
	}
	text := "[" + strings.Join(texts, ", ") + "]"
	if len(values) > maxListed {
		text += fmt.Sprintf(" and %d more", len(values)-maxListed)
	}
	return text
}
