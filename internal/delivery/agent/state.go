// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/agent/worker"
)

// Ready reports whether the application may start: everything that its start
// waits for has been switched into the view, at whatever revision, and is beyond
// doubt after a crash of the machine; or it will never come. Missing names what
// is not.
func (a *Agent) Ready() (ready bool, missing []string) {
	a.mu.Lock()
	gone := a.desired.GetGone()
	doubtful := a.doubtful
	a.mu.Unlock()
	for _, name := range a.options.WaitFor {
		_, there := a.env.View.Current(name)
		if _, doubted := doubtful[name]; (!there || doubted) && !slices.Contains(gone, name) {
			missing = append(missing, name)
		}
	}
	return len(missing) == 0, missing
}

// State returns what the pod has.
func (a *Agent) State() status.State {
	a.mu.Lock()
	s := status.State{Connected: a.connected, DataSets: []status.DataSet{}}
	if a.unreached != "" {
		s.Message = "the gateway is not reached: " + a.unreached
	}
	workers := make(map[string]*worker.Worker, len(a.workers))
	for name, w := range a.workers {
		workers[name] = w
	}
	a.mu.Unlock()
	for _, w := range workers {
		s.DataSets = append(s.DataSets, w.Status())
	}
	for _, name := range a.env.View.DataSets() {
		if workers[name] != nil {
			continue
		}
		// An unreadable record leaves the items out; the worker that reads it logs why.
		r, _ := a.env.Dir.Record(name)
		s.DataSets = append(s.DataSets, worker.Retained(name, a.env.View, r))
	}
	slices.SortFunc(s.DataSets, func(x, y status.DataSet) int { return strings.Compare(x.Name, y.Name) })
	return s
}

// Changed returns a channel that is closed at the next change of State or Ready.
func (a *Agent) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

func (a *Agent) notifyChanged() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
}
