// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// reportTimeout is how long a Data may be without a report on the revision that it
// has, or its runtime may not run or not be heard, before its status says so.
const reportTimeout = 15 * time.Second

// decision is what to do with one Data.
type decision struct {
	// remove says why the Data is to be removed; empty: it stays.
	remove string
	// withdraw says why the items are to be taken out of the pod's view first.
	withdraw string
	// ready is the condition to write; nil: none.
	ready *metav1.Condition
	// after is when to look again; zero: at the next event.
	after time.Duration
}

// facts are what decideAction looks at.
type facts struct {
	data *v1alpha1.Data
	// set and pod are nil when there is none.
	set *v1alpha1.DataSet
	pod *corev1.Pod
	now time.Time
	// assigned is since when the Data has its revision.
	assigned time.Time
	// down is since when the pod's runtime does not run; zero: it runs.
	down time.Time
	// heard says that the gateway hears the runtime; unheard is since when it is known
	// not to. It may be neither.
	heard   bool
	unheard time.Time
	// replaced says that the pod was given the certificates of an installation that is gone.
	replaced bool
}

// decideAction looks at a Data, its DataSet and its pod.
func decideAction(f facts) decision {
	d, set, p := f.data, f.set, f.pod
	switch {
	case p == nil:
		return decision{remove: "its pod is gone"}
	case p.UID != assignment.PodUID(d):
		return decision{remove: "another pod has its pod's name"}
	case set == nil:
		return decision{remove: "its DataSet is gone"}
	case assignment.Preheats(d) && !podstate.Preheats(set, p):
		return decision{remove: "its DataSet did not make the pod"}
	case !assignment.Preheats(d) && !podstate.Selects(set.Spec.WorkloadSelector, p):
		return f.decideRemoval("its DataSet no longer selects the pod")
	case !podstate.Live(p), set.DeletionTimestamp != nil, d.Spec.Withdraw:
		return decision{}
	}
	since, silent := f.silentSince()
	if !silent {
		return f.restoreReport()
	}
	if wait := reportTimeout - f.now.Sub(since); wait > 0 {
		return decision{after: wait}
	}
	wanted := f.notConnected()
	if have := assignment.Ready(d); have != nil && have.Reason == wanted.Reason && have.Status == wanted.Status &&
		have.Message == wanted.Message {
		return decision{}
	}
	return decision{ready: &wanted}
}

// decideRemoval is for a pod that no longer is its DataSet's. With deletionPolicy Remove
// its items go first, as they would with the DataSet.
func (f facts) decideRemoval(why string) decision {
	switch {
	case f.set.Spec.DeletionPolicy != v1alpha1.DeletionPolicyRemove, !assignment.Holds(f.data, f.pod):
		return decision{remove: why}
	case !f.data.Spec.Withdraw:
		return decision{withdraw: why}
	}
	return decision{}
}

// silentSince returns since when the runtime owes a report, if it does.
func (f facts) silentSince() (time.Time, bool) {
	switch {
	case !assignment.Reported(f.data):
		return f.data.CreationTimestamp.Time, true
	case !f.down.IsZero():
		return f.down, true
	case !f.unheard.IsZero():
		return f.unheard, true
	case !assignment.Current(f.data):
		return f.assigned, true
	}
	return time.Time{}, false
}

// restoreReport shows again what the runtime reported last, when it is heard again and owes
// no report: what has changed since, it says itself.
func (f facts) restoreReport() decision {
	have := assignment.Ready(f.data)
	if !f.heard || have == nil || have.Status != metav1.ConditionUnknown ||
		have.Reason != v1alpha1.ReasonRuntimeNotConnected && have.Reason != v1alpha1.ReasonAuthorityChanged {
		return decision{}
	}
	c := assignment.ReadyOf(&f.data.Status)
	c.ObservedGeneration = f.data.Generation
	return decision{ready: &c}
}

// notConnected is False where the pod cannot have its data, and Unknown where what
// it reported before may be out of date.
func (f facts) notConnected() metav1.Condition {
	d, p := f.data, f.pod
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonRuntimeNotConnected,
		ObservedGeneration: d.Generation,
	}
	look := fmt.Sprintf("see kubectl logs --namespace %s %s --container %s, and whether the pod may reach the gateway", p.Namespace, p.Name,
		sidecar.ContainerName)
	describe := fmt.Sprintf("see kubectl describe pod --namespace %s %s", p.Namespace, p.Name)
	if f.replaced {
		return f.authorityChanged(c)
	}
	switch {
	case assignment.Reported(d) && !f.down.IsZero():
		c.Status = metav1.ConditionUnknown
		c.Message = fmt.Sprintf("the pod's runtime has not run for more than %s; what it reported before may be out of date; %s",
			reportTimeout, describe)
	case assignment.Reported(d) && !f.unheard.IsZero():
		c.Status = metav1.ConditionUnknown
		c.Message = fmt.Sprintf("the gateway has not heard the pod's runtime for more than %s: it hangs, or is cut off; what it reported "+
			"before may be out of date; %s", reportTimeout, look)
	case assignment.Reported(d):
		c.Status = metav1.ConditionUnknown
		c.Message = fmt.Sprintf("the pod's runtime has not acknowledged revision %s within %s; its last report is on revision %s; %s",
			d.Spec.Revision, reportTimeout, d.Status.ObservedRevision, look)
	case p.Spec.NodeName == "":
		c.Message = "the pod has no node yet, so its runtime does not run; " + describe
		if _, says := podstate.Problem(p); says != "" {
			c.Message = fmt.Sprintf("the pod has no node yet, so its runtime does not run: %s; %s", says, describe)
		}
	case !podstate.Started(p):
		c.Message = "the pod's runtime has not started: its volumes, sandbox or image are not there; " + describe
	default:
		c.Message = fmt.Sprintf("the pod's runtime has not reported within %s; %s", reportTimeout, look)
	}
	return c
}

// authorityChanged is of a pod whose runtime cannot trust the gateway. The application
// keeps what it has.
func (f facts) authorityChanged(c metav1.Condition) metav1.Condition {
	c.Reason = v1alpha1.ReasonAuthorityChanged
	c.Message = "Kuda was installed again after the pod was created: the pod was given the certificate authority of the earlier " +
		"installation, so that its runtime does not trust this one's gateway and gets nothing new; restart the pod's workload"
	if assignment.Reported(f.data) {
		c.Status = metav1.ConditionUnknown
		c.Message += "; what it reported before may be out of date"
	}
	return c
}

// setCondition writes the condition into the status. What is Unknown is not shown by the
// printed columns as if it were the present.
func setCondition(s *v1alpha1.DataStatus, c metav1.Condition) {
	meta.SetStatusCondition(&s.Conditions, c)
	switch {
	case c.Status == metav1.ConditionUnknown:
		s.Ready, s.Progress = fmt.Sprintf("?/%d", s.DataItems), ""
	case s.ObservedRevision != "":
		s.Ready, s.Progress = assignment.Counted(s), assignment.Progress(s)
	}
}
