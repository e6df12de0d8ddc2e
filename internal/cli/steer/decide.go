// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// running says whether a rollout is under way.
func running(d *v1alpha1.DataSet) bool {
	r := d.Status.Rollout
	return r != nil && (r.Phase == v1alpha1.RolloutPrefetching || r.Phase == v1alpha1.RolloutProgressing)
}

// pausable refuses a pause or resume that would change nothing, and says what
// was probably meant.
func pausable(d *v1alpha1.DataSet, paused bool, program string) error {
	switch {
	case paused && d.Spec.Paused:
		return fmt.Errorf("DataSet %s is paused already; let it go on by: %s resume %s", d.Name, program, d.Name)
	case paused || d.Spec.Paused:
		return nil
	}
	r := d.Status.Rollout
	switch {
	case r == nil:
	case r.Phase == v1alpha1.RolloutStopped || r.Phase == v1alpha1.RolloutRolledBack:
		return fmt.Errorf("DataSet %s is not paused; its rollout failed, try it again by: %s retry %s", d.Name, program, d.Name)
	case running(d) && int(r.Step) < len(d.Spec.UpdateStrategy.Steps):
		return fmt.Errorf("DataSet %s is not paused; it is at step %d of %d, end that by: %s promote %s",
			d.Name, r.Step+1, len(d.Spec.UpdateStrategy.Steps), program, d.Name)
	}
	return fmt.Errorf("DataSet %s is not paused", d.Name)
}

// afterwards says what a pause or resume leads to where that is not plain.
func afterwards(d *v1alpha1.DataSet, paused bool) string {
	switch {
	case paused && !running(d):
		return "; no rollout is running, the next one waits for resume"
	case paused:
		return fmt.Sprintf("; %d of %d pods have the new revision", d.Status.UpdatedReplicas, d.Status.Replicas)
	}
	return ""
}
