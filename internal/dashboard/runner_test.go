// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"context"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// saying is a runner whose pods all say the same.
type saying string

func (s saying) Run(context.Context, types.NamespacedName, []string, []byte) ([]byte, error) {
	return []byte(s), nil
}

func TestWhatPodsAnswerToOneRequestIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		taken  int // answers of the same length
	}{
		"a usual answer":         {`[{"name":"models","items":[]}]`, 1000},
		"a long text":            {strings.Repeat("x", maxAnswer/2), 2},
		"a list of nothing":      {"[" + strings.Repeat("{},", maxParts/2-1) + "{}]", 2},
		"more than is allowed":   {strings.Repeat("x", maxAnswer+1), 0},
		"more parts than memory": {strings.Repeat("null,", maxParts+1), 0},
	} {
		r := newBoundedRunner(saying(c.answer))
		taken := 0
		for range 1000 {
			if _, err := r.Run(t.Context(), types.NamespacedName{}, nil, nil); err != nil {
				if !errors.Is(err, errLongAnswer) {
					t.Errorf("%s: got %v", name, err)
				}
				break
			}
			taken++
		}
		if taken != c.taken {
			t.Errorf("%s: %d answers were taken, not %d", name, taken, c.taken)
		}
	}
}
