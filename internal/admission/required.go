// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
)

// requiring is how messages name the namespace's label.
const requiring = v1alpha1.LabelInjection + "=" + v1alpha1.InjectionRequired

// checkEvasion returns why a pod is refused that DataSets would select but for
// the label that Kuda puts on its own pods; empty when it is not. Those carry no label
// that users select by.
func checkEvasion(all []*v1alpha1.DataSet, labels map[string]string) string {
	if labels[v1alpha1.LabelPreheat] == "" {
		return ""
	}
	plain := maps.Clone(labels)
	delete(plain, v1alpha1.LabelPreheat)
	selecting := inject.Selecting(all, plain)
	if len(selecting) == 0 {
		return ""
	}
	return fmt.Sprintf("its namespace requires injection (%s) and %s this pod, but the pod carries %s, which Kuda sets on pods of its "+
		"own; remove that label",
		requiring, selectedBy(selecting), v1alpha1.LabelPreheat)
}

// handleRelabel returns the response for a running pod with other labels. A pod gets its runtime
// when it is created, so it must not come to be selected later, nor opt out.
func (p *Pods) handleRelabel(ctx context.Context, req admission.Request) admission.Response {
	next, err := readMeta(req.Object.Raw)
	if err != nil {
		return p.failedResponse(req, byNamespace, err)
	}
	last, err := readMeta(req.OldObject.Raw)
	if err != nil {
		return p.failedResponse(req, byNamespace, err)
	}
	if next.DeletionTimestamp != "" || maps.Equal(next.Labels, last.Labels) {
		return admission.Allowed("")
	}
	all, err := p.dataSets(ctx, req.Namespace, true)
	if err != nil {
		return p.failedResponse(req, byNamespace, err)
	}
	if why := checkRelabelled(all, last.Labels, next.Labels); why != "" {
		p.Metrics.countOutcome(refused)
		return deniedResponse("Kuda refuses the new labels of this pod: " + why)
	}
	return admission.Allowed("")
}

// checkRelabelled returns why a running pod's labels cannot become others; empty
// when they can.
func checkRelabelled(all []*v1alpha1.DataSet, last, next map[string]string) string {
	if last[v1alpha1.LabelPreheat] != next[v1alpha1.LabelPreheat] {
		if why := checkEvasion(all, next); why != "" {
			return why
		}
	}
	before := map[string]bool{}
	for _, ds := range inject.Selecting(all, last) {
		before[ds.Name] = true
	}
	selecting := inject.Selecting(all, next)
	var newly []*v1alpha1.DataSet
	for _, ds := range selecting {
		if !before[ds.Name] {
			newly = append(newly, ds)
		}
	}
	if len(newly) > 0 {
		return fmt.Sprintf("its namespace requires injection (%s) and by them %s the pod, which has its data since it was created or not at "+
			"all; create the pod anew with these labels",
			requiring, selectedBy(newly))
	}
	if len(selecting) > 0 && next[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled &&
		last[v1alpha1.LabelInjection] != v1alpha1.InjectionDisabled {
		return fmt.Sprintf("its namespace requires injection (%s) and %s the pod, which cannot be labelled %s=%s there",
			requiring, selectedBy(selecting), v1alpha1.LabelInjection, v1alpha1.InjectionDisabled)
	}
	return ""
}

// selectedBy names DataSets as the subject of a sentence, with its verb.
func selectedBy(dataSets []*v1alpha1.DataSet) string {
	names := make([]string, 0, len(dataSets))
	for _, ds := range dataSets {
		names = append(names, ds.Name)
	}
	if len(names) == 1 {
		return "DataSet " + names[0] + " selects"
	}
	return "DataSets " + strings.Join(names, ", ") + " select"
}
