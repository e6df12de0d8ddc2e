// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// callRequest calls a web service.
func callRequest(ctx context.Context, c *v1alpha1.HTTPCheck) (*http.Request, error) {
	u, err := parseAddress(c.URL)
	if err != nil {
		return nil, fmt.Errorf("http.url: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("http.url: %w", err)
	}
	return req, nil
}

// readCalled makes a status and a body of an answer.
func readCalled(a answer) reading {
	found := fmt.Sprintf("%s answered with status %d", a.host, a.status)
	var body any // null where it is not JSON
	if err := json.Unmarshal(a.body, &body); err != nil {
		body = nil
		found += " and a body that is not JSON"
	}
	return reading{
		found:     found,
		succeeded: a.status >= 200 && a.status <= 299,
		variables: map[string]any{resultVariable: body, statusVariable: int64(a.status)},
	}
}
