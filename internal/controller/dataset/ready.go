// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// podsCondition is the condition Ready as far as pods go: whether each has all of the
// revision that it is to have.
func podsCondition(p *session, s v1alpha1.DataSetStatus) metav1.Condition {
	d, o, refusal := p.set, p.observed, p.refusal
	failure := firstFailure(o.live, p.now)
	missing := len(o.missingRuntime())
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	switch {
	case s.Replicas == 0 && missing == 0:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonNoPods
		c.Message = "no running pod of this namespace carries all labels of spec.workloadSelector, so there is nothing to deliver"
		if len(o.uninjected) > 0 {
			c.Message = "the matching pods are opted out of injection, so there is nothing to deliver; see the condition Injected"
		}
	case failure != "":
		c.Reason = v1alpha1.ReasonDeliveryFailed
		c.Message = fmt.Sprintf("%s pods have their data; %s", s.Ready, failure)
	case s.UnavailableReplicas > 0 && refusal != "":
		c.Reason = v1alpha1.ReasonWriteRefused
		c.Message = fmt.Sprintf("%s pods have their data; %s", s.Ready, refusal)
	case s.UnavailableReplicas > 0:
		c.Reason = v1alpha1.ReasonDelivering
		c.Message = fmt.Sprintf("%s pods have their data; %s", s.Ready, firstWait(d, o))
	case missing > 0:
		c.Reason = v1alpha1.ReasonPodsNotInjected
		c.Message = fmt.Sprintf("%s pods have their data; %s", s.Ready, injectedCondition(d, o).Message)
	default:
		c.Status = metav1.ConditionTrue
		c.Reason = v1alpha1.ReasonDelivered
		c.Message = fmt.Sprintf("%s pods have their data", s.Ready) + describeUnheard(o.countedReplicas())
	}
	if len(o.leaving) > 0 {
		c.Message += fmt.Sprintf("; %d pods that are no longer selected are asked to take the items out (deletionPolicy "+
			"Remove), the first is %s; "+
			"where its runtime cannot answer, delete the pod", len(o.leaving), o.leaving[0])
	}
	return c
}

// describeUnheard speaks of pods of which it is not known whether they still have what they
// reported.
func describeUnheard(replicas []*replica) string {
	first, n := "", 0
	for _, r := range replicas {
		if r.data == nil {
			continue
		}
		if ready := assignment.Ready(r.data); ready != nil && ready.Status == metav1.ConditionUnknown {
			if n++; n == 1 {
				first = fmt.Sprintf("pod %s: %s", r.pod.Name, ready.Message)
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; of %d it is not known whether they still have it, %s", n, first)
}

// firstFailure speaks of the first pod whose runtime cannot live, or of the first
// failed item of the first pod that has one. It leaves out how often a runtime
// ended, which would change the message each time.
func firstFailure(replicas []*replica, now time.Time) string {
	for _, r := range replicas {
		if podstate.Dies(r.pod, now) {
			return fmt.Sprintf("pod %s: Kuda's container ends again and again, so that nothing new arrives; kubectl logs %s -n %s -c %s "+
				"--previous says why",
				r.pod.Name, r.pod.Name, r.pod.Namespace, sidecar.ContainerName)
		}
		if r.data == nil || !assignment.Current(r.data) {
			continue
		}
		for i := range r.data.Status.DataItemsStatus {
			item := &r.data.Status.DataItemsStatus[i]
			if item.Phase == v1alpha1.DataFailed {
				return fmt.Sprintf("pod %s, item %s/%s: %s: %s", r.pod.Name, item.Namespace, item.Name, item.Reason, item.Message)
			}
		}
	}
	return ""
}

// firstWait speaks of the first pod that lacks something. It leaves out how
// far that pod is, which would change the message with every report.
func firstWait(d *v1alpha1.DataSet, o *observation) string {
	for _, r := range o.live {
		if r.delivered || !r.hasStarted() {
			continue
		}
		if r.data != nil {
			// A report on an earlier revision says nothing of this one.
			ready := assignment.Ready(r.data)
			owed := !assignment.Reported(r.data) || assignment.Current(r.data) || ready != nil && ready.Status == metav1.ConditionUnknown
			if owed && ready != nil && ready.Status != metav1.ConditionTrue {
				return fmt.Sprintf("pod %s: %s: %s", r.pod.Name, ready.Reason, ready.Message)
			}
		}
		return fmt.Sprintf("pod %s has not reported on revision %s yet", r.pod.Name, r.revision)
	}
	return describeNotStarted(d, o.notStarted())
}

// describeNotStarted says how many pods have not started, and what the first lacks.
func describeNotStarted(d *v1alpha1.DataSet, replicas []*replica) string {
	if len(replicas) == 0 {
		return ""
	}
	first := replicas[0].pod
	return fmt.Sprintf("%d not started; pod %s: %s, see kubectl describe pod --namespace %s %s",
		len(replicas), first.Name, whyNotStarted(d, first), first.Namespace, first.Name)
}

// whyNotStarted says what a pod that has not started waits for.
func whyNotStarted(d *v1alpha1.DataSet, p *corev1.Pod) string {
	if p.Spec.NodeName != "" {
		return "its volumes, sandbox or image are not there yet"
	}
	_, says := podstate.Problem(p)
	if says == "" {
		return "it has no node yet"
	}
	for _, s := range sourcekind.Describe(&d.Spec.Template.DataSources, field.NewPath("spec", "template", "dataSources")) {
		for _, claim := range s.ReferencesTo(sourcekind.Claim) {
			if strings.Contains(says, fmt.Sprintf("persistentvolumeclaim %q not found", claim.Name)) {
				return fmt.Sprintf("PersistentVolumeClaim %s, which %s names, is not there; create it, or correct claimName and restart the pods",
					claim.Name, s.Field)
			}
		}
	}
	return "it has no node yet: " + says
}
