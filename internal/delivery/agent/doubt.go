// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// doubtfulSnapshots finds the DataSets whose view has snapshots that the store is in doubt
// of, because the machine went down shortly after they were written. Their applications
// start once the snapshots have been verified.
func (a *Agent) doubtfulSnapshots() map[string][]snapshot.ID {
	found := map[string][]snapshot.ID{}
	for _, name := range a.env.View.DataSets() {
		current, ok := a.env.View.Current(name)
		if !ok {
			continue
		}
		// The worker that reads the record says why it cannot be read.
		r, _ := a.env.Dir.Record(name)
		for _, item := range r.Revisions[current].Items {
			if a.env.Store.InDoubt(item.Snapshot) {
				found[name] = append(found[name], item.Snapshot)
			}
		}
	}
	return found
}

// settleDoubts has the snapshots in doubt read, by this process or another one
// of the node. A DataSet whose snapshots are right is beyond doubt; one of a
// damaged snapshot stays in it until its view is built anew.
func (a *Agent) settleDoubts(ctx context.Context) {
	a.mu.Lock()
	doubtful := a.doubtful
	a.mu.Unlock()
	for name, ids := range doubtful {
		right := true
		for _, id := range ids {
			if err := a.env.Store.Verify(ctx, id, false); err != nil {
				right = false
				a.env.Log.Info("data that was in doubt after a crash of the machine is delivered again", "dataset", name, "snapshot", id,
					"reason", err.Error())
			}
		}
		if right {
			a.clearDoubt(name)
		}
	}
}

// clearDoubt marks a DataSet as verified.
func (a *Agent) clearDoubt(name string) {
	a.mu.Lock()
	_, was := a.doubtful[name]
	if was {
		rest := make(map[string][]snapshot.ID, len(a.doubtful))
		for other, ids := range a.doubtful {
			if other != name {
				rest[other] = ids
			}
		}
		a.doubtful = rest
	}
	a.mu.Unlock()
	if was {
		a.notifyChanged()
	}
}

// checkSnapshots has the DataSets checked whose snapshots are in doubt now.
func (a *Agent) checkSnapshots() {
	for _, w := range a.currentWorkers() {
		w.CheckSnapshots()
	}
}
