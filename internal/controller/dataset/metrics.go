// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// metrics count rollouts. The first revision of a DataSet is no rollout here:
// its time is that of the pods' start.
type metrics struct {
	rollouts  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	switches  prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		rollouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kuda_rollouts_total",
			Help: "Rollouts that ended, by outcome: Succeeded, Failed, RolledBack, Superseded, or Stopped when it was not taken up again.",
		}, []string{"outcome"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kuda_rollout_duration_seconds", Help: "From the edit to the end of a rollout, by outcome.",
			Buckets: []float64{1, 2, 5, 15, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		}, []string{"outcome"}),
		switches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kuda_rollout_switch_seconds", Help: "From the edit to the moment at which a moved pod's application saw it.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 4 * 3600},
		}),
	}
	for _, c := range []prometheus.Collector{m.rollouts, m.durations, m.switches} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of rollouts: %w", err)
		}
	}
	for _, outcome := range []v1alpha1.RolloutOutcome{
		v1alpha1.OutcomeSucceeded, v1alpha1.OutcomeFailed, v1alpha1.OutcomeStopped, v1alpha1.OutcomeRolledBack, v1alpha1.OutcomeSuperseded,
	} {
		m.rollouts.WithLabelValues(string(outcome))
	}
	return m, nil
}

// countChange takes in what a written status changed.
func (m *metrics) countChange(before, after v1alpha1.DataSetStatus, now time.Time) {
	if after.Rollout == nil || before.Rollout == nil {
		return
	}
	if beginsRollout(before.Rollout, *after.Rollout) {
		if !hasEnded(before.Rollout.Phase) && len(before.History) > 1 {
			outcome := v1alpha1.OutcomeSuperseded
			if before.Rollout.Phase == v1alpha1.RolloutStopped {
				outcome = v1alpha1.OutcomeStopped
			}
			m.countEnd(outcome, before.Rollout, now)
		}
		if !hasEnded(after.Rollout.Phase) {
			return
		}
	} else if hasEnded(before.Rollout.Phase) || !hasEnded(after.Rollout.Phase) {
		return
	}
	if len(after.History) < 2 {
		return
	}
	outcome := after.History[len(after.History)-1].Outcome
	if at := after.Rollout.EndTime; at != nil {
		now = at.Time
	}
	m.countEnd(outcome, after.Rollout, now)
}

func (m *metrics) countEnd(outcome v1alpha1.RolloutOutcome, r *v1alpha1.RolloutStatus, at time.Time) {
	m.rollouts.WithLabelValues(string(outcome)).Inc()
	if r.StartTime != nil {
		m.durations.WithLabelValues(string(outcome)).Observe(max(0, at.Sub(r.StartTime.Time).Seconds()))
	}
}

// switching remembers of which moved pods it is known that their applications
// see their revision, so that each is measured once. One that is moved and there
// before the next pass looks counts as well.
type switching struct {
	mu sync.Mutex
	// since is when this process made its first pass, as the leader. Which pods of
	// an older rollout were measured before is not known: those that are there
	// count as such.
	since time.Time
	sets  map[types.NamespacedName]switched
}

type switched struct {
	revision string
	start    time.Time
	// pods that were there; nil once the rollout is over, when none is measured any more.
	pods map[types.UID]bool
}

// countSwitched returns how many moved pods have switched since the last pass.
func (s *switching) countSwitched(key types.NamespacedName, state v1alpha1.RolloutStatus, live []*replica, now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state.StartTime == nil {
		return 0
	}
	if s.sets == nil {
		s.since = now
		s.sets = make(map[types.NamespacedName]switched)
	}
	known, ok := s.sets[key]
	if !ok || known.revision != state.Revision || !known.start.Equal(state.StartTime.Time) {
		known = switched{revision: state.Revision, start: state.StartTime.Time, pods: map[types.UID]bool{}}
		ok = !state.StartTime.Time.Before(s.since)
	}
	n := 0
	for _, x := range live {
		if known.pods == nil || x.data == nil || x.revision != state.Revision || x.data.Spec.Baseline == nil ||
			x.data.Status.CurrentRevision != state.Revision || known.pods[x.pod.UID] {
			continue
		}
		known.pods[x.pod.UID] = true
		if ok {
			n++
		}
	}
	if state.Phase == v1alpha1.RolloutCompleted {
		known.pods = nil
	}
	s.sets[key] = known
	return n
}

// forgetDataSet drops a DataSet that is gone.
func (s *switching) forgetDataSet(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sets, key)
}
