// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/assignment"
	"github.com/kuda-io/kuda/internal/controller/pod"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// reportTimeout is how long a Data may be without a report before its status says so.
const reportTimeout = 15 * time.Second

// decision is what to do with one Data.
type decision struct {
	// remove says why the Data is to be removed; empty: it stays.
	remove string
	// ready is the condition to write; nil: none.
	ready *metav1.Condition
	// after is when to look again; zero: at the next event.
	after time.Duration
}

// decide looks at a Data, its DataSet and its pod; the last two are nil when
// there is none.
func decide(d *v1alpha1.Data, set *v1alpha1.DataSet, p *corev1.Pod, now time.Time) decision {
	switch {
	case p == nil:
		return decision{remove: "its pod is gone"}
	case p.UID != assignment.PodUID(d):
		return decision{remove: "another pod has its pod's name"}
	case set == nil:
		return decision{remove: "its DataSet is gone"}
	case assignment.Preheats(d) && !pod.Preheats(set, p):
		return decision{remove: "its DataSet did not make the pod"}
	case !assignment.Preheats(d) && !pod.Selects(set.Spec.WorkloadSelector, p):
		return decision{remove: "its DataSet no longer selects the pod"}
	case assignment.Reported(d), !pod.Live(p), set.DeletionTimestamp != nil:
		return decision{}
	}
	if wait := reportTimeout - now.Sub(d.CreationTimestamp.Time); wait > 0 {
		return decision{after: wait}
	}
	wanted := notConnected(d, p)
	if have := assignment.Ready(d); have != nil && have.Reason == wanted.Reason && have.Message == wanted.Message {
		return decision{}
	}
	return decision{ready: &wanted}
}

func notConnected(d *v1alpha1.Data, p *corev1.Pod) metav1.Condition {
	message := fmt.Sprintf("the pod's runtime has not reported within %s; see kubectl logs --namespace %s %s --container %s, "+
		"and whether the pod may reach the gateway", reportTimeout, p.Namespace, p.Name, sidecar.ContainerName)
	switch {
	case p.Spec.NodeName == "":
		message = fmt.Sprintf("the pod has no node yet, so its runtime does not run; see kubectl describe pod --namespace %s %s", p.Namespace, p.Name)
	case !pod.Started(p):
		message = fmt.Sprintf("the pod's runtime has not started: its volumes, sandbox or image are not there; see kubectl describe pod --namespace %s %s",
			p.Namespace, p.Name)
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRuntimeNotConnected,
		Message: message, ObservedGeneration: d.Generation,
	}
}
