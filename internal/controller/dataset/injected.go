// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
	"github.com/kuda-io/kuda/internal/shorten"
)

func injectedCondition(d *v1alpha1.DataSet, o *observation) metav1.Condition {
	if len(o.uninjected) == 0 {
		return metav1.Condition{
			Type: v1alpha1.ConditionInjected, Status: metav1.ConditionTrue,
			Reason: v1alpha1.ReasonAllInjected, Message: "every matching pod carries the runtime",
		}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionInjected, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPodsNotInjected,
		Message: fmt.Sprintf("%d matching pods lack the runtime and get no data: %s", len(o.uninjected), describeUninjected(d, o)),
	}
}

// maxCauses is how many different causes a message speaks of.
const maxCauses = 3

// describeUninjected lists the uninjected pods by cause.
func describeUninjected(d *v1alpha1.DataSet, o *observation) string {
	var causes []inject.Cause
	pods := make(map[inject.Cause][]string)
	for _, p := range o.uninjected {
		c := o.uninjectedCause(d, p)
		if pods[c] == nil {
			causes = append(causes, c)
		}
		pods[c] = append(pods[c], p.Name)
	}
	var parts []string
	others := 0
	for i, c := range causes {
		if i >= maxCauses {
			others += len(pods[c])
			continue
		}
		parts = append(parts, fmt.Sprintf("%s: %s", shorten.List(pods[c], ", ", namesInMessage), c))
	}
	if others > 0 {
		parts = append(parts, fmt.Sprintf("%d more for other reasons", others))
	}
	return strings.Join(parts, ". ")
}

// uninjectedCause says why a matching pod lacks the runtime.
func (o *observation) uninjectedCause(d *v1alpha1.DataSet, p *corev1.Pod) inject.Cause {
	return inject.WhyUninjected(p, d, o.namespaceLabels, "")
}
