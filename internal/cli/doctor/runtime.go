// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"github.com/kuda-io/kuda/internal/cli/doctor/advice"
	"github.com/kuda-io/kuda/internal/controller/pod"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// checkRuntimes speaks of pods whose runtime cannot live. What such a one
// reported last may be a success.
func checkRuntimes(s *subject) []Finding {
	var findings []Finding
	for i := range s.pods.value {
		p := &s.pods.value[i]
		if !pod.Selects(s.dataSet.Spec.WorkloadSelector, p) || !pod.Live(p) || !pod.Injected(p) || !pod.Dies(p, s.now) {
			continue
		}
		findings = append(findings, Finding{
			Severity: advice.Problem, Check: checkRuntime, Object: &Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name},
			What: "Kuda's container ends again and again",
			Why:  "it keeps what the pod has and gets nothing new; if it began with a change of the DataSet, applying the earlier template heals it",
			Do:   []string{"kubectl logs " + p.Name + " -n " + p.Namespace + " -c " + sidecar.ContainerName + " --previous"},
		})
	}
	return findings
}
