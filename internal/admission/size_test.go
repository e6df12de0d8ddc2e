// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestADataSetWithoutRoomForItsStatusIsRefused(t *testing.T) {
	of := func(bytes int) *v1alpha1.DataSet {
		return dataSet(item(func(i *v1alpha1.DataItem) {
			for bytes > 0 {
				n := min(bytes, 1000)
				i.Include, bytes = append(i.Include, strings.Repeat("a", n)), bytes-n
			}
		}))
	}
	steps := dataSet(func(s *v1alpha1.DataSetSpec) {
		for range 1100 {
			s.UpdateStrategy.Steps = append(s.UpdateStrategy.Steps, v1alpha1.RolloutStep{Analysis: &v1alpha1.AnalysisStep{
				SuccessCondition: strings.Repeat("a", 1000)}})
		}
	})
	for name, c := range map[string]struct {
		last, next *v1alpha1.DataSet
		refused    bool
	}{
		"small":               {nil, of(10), false},
		"close to the bound":  {nil, of(1_000_000), false},
		"at 1.56 MB":          {nil, of(1_560_000), true},
		"outside of items":    {nil, steps, true},
		"grown":               {of(10), of(1_200_000), true},
		"grown beyond before": {of(1_200_000), of(1_300_000), true},
		"stored as it is":     {of(1_200_000), of(1_200_000), false},
		"made smaller":        {of(1_300_000), of(1_200_000), false},
	} {
		errs := checkSize(c.last, c.next)
		if (len(errs) > 0) != c.refused {
			t.Errorf("%s: %v", name, errs.ToAggregate())
		}
		if c.refused && !strings.Contains(errs.ToAggregate().Error(), "at most 1048576 (1 MiB)") {
			t.Errorf("%s: no bound in %v", name, errs.ToAggregate())
		}
	}
}
