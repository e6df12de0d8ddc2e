// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/insight/advice"
)

// checkSize speaks of a DataSet that leaves no room for its status. It was stored by an
// earlier release, or while kuda-webhook was away.
func checkSize(s *subject) []Finding {
	encoded, err := json.Marshal(&s.dataSet.Spec)
	if err != nil || len(encoded) <= v1alpha1.MaxSpecBytes {
		return nil
	}
	return []Finding{{
		Severity: advice.Problem, Check: checkDataSet, Object: s.dataSetObject(),
		What: fmt.Sprintf("its spec has %d bytes as JSON, more than %d", len(encoded), v1alpha1.MaxSpecBytes),
		Why:  "that leaves no room for status and history in an object of the API server, so what runtimes report may not be stored",
		Do: []string{"shorten include and exclude, or split the items among several DataSets:",
			"kubectl edit dataset " + s.dataSet.Name + " -n " + s.dataSet.Namespace},
	}}
}

// podKey tells a pod from another one of its name.
type podKey struct {
	uid  types.UID
	name string
}

// checkUntold speaks of pods with the runtime that have no Data of the DataSet.
func checkUntold(s *subject) []Finding {
	if s.pods.err != nil || s.data.err != nil {
		return nil // said elsewhere
	}
	told := make(map[podKey]bool, len(s.data.value))
	for i := range s.data.value {
		d := &s.data.value[i]
		told[podKey{assignment.PodUID(d), d.Spec.PodName}] = true
	}
	var names []string
	for i := range s.pods.value {
		p := &s.pods.value[i]
		if !podstate.Selects(s.dataSet.Spec.WorkloadSelector, p) || !podstate.Live(p) || !podstate.Injected(p) ||
			told[podKey{p.UID, p.Name}] || s.now.Sub(p.CreationTimestamp.Time) <= reportPatience {
			continue
		}
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return nil
	}
	f := Finding{
		Severity: advice.Problem, Check: checkPods, Object: &Object{Kind: "Pod", Namespace: s.dataSet.Namespace, Name: names[0]},
		What: "has the runtime and no Data of the DataSet, so it is not told what to have",
		Why: "kuda-manager cannot write it: a quota on Data objects, a policy, or its rights; or it does not run. The condition " +
			"Progressing has the refusal",
		Do: []string{"kubectl describe resourcequota -n " + s.dataSet.Namespace,
			"kubectl get events -n " + s.dataSet.Namespace + " --field-selector reason=" + v1alpha1.EventWriteRefused, managerLog},
	}
	if more := len(names) - 1; more > 0 {
		f.What = fmt.Sprintf("and %d more pods have the runtime and no Data of the DataSet, so they are not told what to have", more)
	}
	return []Finding{f}
}
