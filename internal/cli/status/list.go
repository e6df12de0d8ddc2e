// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/domain/verdict"
	"github.com/kuda-io/kuda/internal/insight/status"
)

// summaryTable shows DataSets, one in a line. Ages are by name of namespace and DataSet.
func summaryTable(views []status.View, ages map[string]time.Duration, namespaces, wide bool) *frame.Table {
	t := &frame.Table{Header: []string{"NAMESPACE", "NAME", "READY", "UPDATED", "REVISION", "STABLE", "ROLLOUT", "STEP", "AGE", "MESSAGE"}}
	for i := range views {
		v := &views[i]
		revision, stable := v.Update.Label(v.Name), ""
		if v.Stable.Name != v.Update.Name {
			stable = v.Stable.Label(v.Name)
		}
		if wide {
			revision, stable = v.Update.Name, v.Stable.Name
		}
		namespace := ""
		if namespaces {
			namespace = v.Namespace
		}
		step := ""
		if v.Step != nil {
			step = fmt.Sprintf("%d/%d", v.Step.Index, v.Step.Of)
		}
		message, tone := mainMessage(v)
		t.Add(frame.Text(namespace), frame.Text(v.Name), frame.Text(v.Ready), frame.Text(fmt.Sprintf("%d/%d", v.Updated, v.Replicas)),
			frame.Text(revision), frame.Text(stable), frame.Toned(phaseTone(v.Phase), phaseWord(v)), frame.Text(step),
			frame.Text(duration.HumanDuration(ages[v.Namespace+"/"+v.Name])), frame.Toned(tone, message))
	}
	return t
}

func phaseWord(v *status.View) string {
	if v.Paused && !v.HasEnded() && v.Verdict.State != verdict.Unobserved {
		return "Paused"
	}
	return string(v.Phase)
}

// mainMessage returns the most important message about a DataSet: why it failed,
// what is wrong, or what it waits for.
func mainMessage(v *status.View) (string, frame.Tone) {
	switch {
	case v.HasFailed():
		return cmp.Or(v.Verdict.Message, v.Verdict.Reason), frame.Bad
	case len(v.Alerts) > 0:
		return v.Alerts[0].Reason + ": " + v.Alerts[0].Message, frame.Warning
	case v.Waits != "":
		return "waits for " + v.Waits, frame.Plain
	}
	return v.Message, frame.Plain
}
