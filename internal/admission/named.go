// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/shorten"
)

const (
	// maxNamed bounds how many DataSets one pod names.
	maxNamed = 32
	// maxQuoted bounds what of a pod's own text a message repeats, in bytes.
	maxQuoted = 64
	// maxReasons and maxLacking bound what a refusal names; the rest is counted.
	maxReasons = 5
	maxLacking = 5
)

// demand is what requires that a pod has its data, as a clause of a sentence; empty
// where nothing does, so that the pod may be admitted without.
type demand string

const (
	byNamespace  demand = "its namespace requires injection (" + requiring + ")"
	byLabel      demand = "it requires injection (label " + requiring + ")"
	byAnnotation demand = "it names its DataSets (annotation " + v1alpha1.AnnotationDataSets + ")"
)

// openWarning is for pods that name their DataSets and nothing more.
const openWarning = "This pod names its DataSets (annotation " + v1alpha1.AnnotationDataSets + ") and has no label " + requiring +
	": while kuda-webhook cannot be reached, such a pod is admitted without its data. Give the pod the label, too."

// demandOf returns what requires that the pod has its data.
func (p *Pods) demandOf(meta *podMeta) demand {
	_, names := meta.Annotations[v1alpha1.AnnotationDataSets]
	switch {
	case p.Required:
		return byNamespace
	case meta.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionRequired:
		return byLabel
	case names:
		return byAnnotation
	}
	return ""
}

// checkNamed returns why a pod is refused whose DataSets are not there, or would not be
// delivered to it; empty when it is not.
func checkNamed(all []*v1alpha1.DataSet, meta *podMeta, namespace string) string {
	text, ok := meta.Annotations[v1alpha1.AnnotationDataSets]
	if !ok {
		return ""
	}
	names, problem := parseNamed(text)
	if problem != "" {
		return fmt.Sprintf("its annotation %s %s; it names DataSets of the pod's namespace, separated by commas, such as \"model,index\"",
			v1alpha1.AnnotationDataSets, problem)
	}
	var reasons []string
	for _, name := range names {
		if why := checkNamedOne(all, name, namespace, meta.Labels); why != "" {
			reasons = append(reasons, why)
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return fmt.Sprintf("it names its DataSets (annotation %s), and %s. It can be created once this is put right; what creates the pod tries "+
		"again by itself", v1alpha1.AnnotationDataSets, shorten.List(reasons, "; ", maxReasons))
}

// checkNamedOne is checkNamed for one of the names.
func checkNamedOne(all []*v1alpha1.DataSet, name, namespace string, labels map[string]string) string {
	at := slices.IndexFunc(all, func(d *v1alpha1.DataSet) bool { return d.Name == name })
	switch {
	case at < 0:
		return fmt.Sprintf("there is no DataSet %s in namespace %s", name, namespace)
	case all[at].DeletionTimestamp != nil:
		return fmt.Sprintf("DataSet %s is being deleted", name)
	case len(inject.Selecting(all[at:at+1], labels)) > 0:
		return ""
	}
	var lacking []string
	for _, key := range slices.Sorted(maps.Keys(all[at].Spec.WorkloadSelector)) {
		want := all[at].Spec.WorkloadSelector[key]
		switch have, ok := labels[key]; {
		case !ok:
			lacking = append(lacking, fmt.Sprintf("lacks the label %s=%s", key, want))
		case have != want:
			lacking = append(lacking, fmt.Sprintf("has the label %s=%s and not %s=%s", key, have, key, want))
		}
	}
	if len(lacking) == 0 {
		lacking = []string{"carries the label " + v1alpha1.LabelPreheat + ", which Kuda sets on pods of its own"}
	}
	return fmt.Sprintf("DataSet %s does not select it: the pod %s", name, shorten.List(lacking, ", ", maxLacking))
}

// parseNamed returns the DataSets that an annotation names, each once, or what is wrong
// with the text.
func parseNamed(text string) (names []string, problem string) {
	if strings.TrimSpace(text) == "" {
		return nil, "is empty"
	}
	if strings.Count(text, ",") >= maxNamed {
		return nil, fmt.Sprintf("names more than %d DataSets", maxNamed)
	}
	for part := range strings.SplitSeq(text, ",") {
		name := strings.TrimSpace(part)
		switch {
		case name == "":
			return nil, "has a comma without a name beside it"
		case len(validation.IsDNS1123Subdomain(name)) > 0:
			return nil, fmt.Sprintf("has %q, which is no name of a DataSet", sanitize.Line(name, maxQuoted))
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names, ""
}
