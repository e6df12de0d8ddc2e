// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/analysis"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

// Analyst takes the measurements of analysis steps, beside the passes.
type Analyst interface {
	Measure(analysis.Key, v1alpha1.AnalysisStep)
	Result(analysis.Key) (analysis.Measurement, bool)
	Forget(types.NamespacedName)
}

// measurements are those of analysis steps. Without an analyst none are taken.
type measurements struct{ analyst Analyst }

// finishedMeasurement returns the measurement that the rollout waits for, if it is complete.
func (m measurements) finishedMeasurement(d *v1alpha1.DataSet) *rollout.Measurement {
	step, ok := analysisStep(d, d.Status.Rollout)
	if !ok || step == nil || m.analyst == nil {
		return nil
	}
	found, ok := m.analyst.Result(analysis.NewKey(keyOf(d), d.Status.Rollout))
	if !ok {
		return nil
	}
	return &rollout.Measurement{Step: int(d.Status.Rollout.Step), OK: found.OK, Time: found.Time, Message: found.Message}
}

// requestMeasurement asks for the measurement that a written status waits for.
func (m measurements) requestMeasurement(d *v1alpha1.DataSet, index int) {
	if m.analyst == nil {
		return
	}
	step, ok := analysisStep(d, d.Status.Rollout)
	if !ok || index != int(d.Status.Rollout.Step) {
		m.analyst.Forget(keyOf(d))
		return
	}
	m.analyst.Measure(analysis.NewKey(keyOf(d), d.Status.Rollout), *step)
}

// forgetDataSet drops the measurements of a DataSet that is gone.
func (m measurements) forgetDataSet(key types.NamespacedName) {
	if m.analyst != nil {
		m.analyst.Forget(key)
	}
}

// analysisStep returns the analysis step that a rollout takes.
func analysisStep(d *v1alpha1.DataSet, state *v1alpha1.RolloutStatus) (*v1alpha1.AnalysisStep, bool) {
	steps := d.Spec.UpdateStrategy.Steps
	if state == nil || state.Phase != v1alpha1.RolloutProgressing || state.Step < 0 || int(state.Step) >= len(steps) {
		return nil, false
	}
	step := steps[state.Step].Analysis
	return step, step != nil
}
