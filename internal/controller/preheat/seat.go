// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/backoff"
)

// How long a pod may be without what it waits for, from its creation. It is then
// taken away, so that it keeps no other node waiting, and made again later.
const (
	nodePatience   = 2 * time.Minute
	reportPatience = 10 * time.Minute
	itemPatience   = 10 * time.Minute
	// settling is how long a pod that has the data stays for the node's store to
	// be reported.
	settling = 30 * time.Second
	// reportLag is how long after the data came a report may still lack it.
	reportLag = time.Minute
)

// A failed node is tried again after a time that doubles.
const (
	minBackoff = time.Minute
	maxBackoff = 30 * time.Minute
)

// Reasons of nodes that are not an item's.
const (
	reasonUnschedulable = "Unschedulable"
	reasonPodFailed     = "PodFailed"
	reasonPodDeleted    = "PodDeleted"
	reasonNotKept       = "NotInStore"
	reasonNotSure       = "NodeCameBack"
)

// hasData reports whether the node's store holds all of the data for a preheat.
func (n *Node) hasData() bool { return n.Store != nil && n.Store.Kept }

// judgeSeat says how far a node is that was chosen before.
func (p *planner) judgeSeat(n *Node, s Seat) Seat {
	pod := p.pods[PodName(p.DataSet, p.UID, n.Name, p.Revision)]
	switch {
	case n.hasData():
		s = p.readySeat(s)
		s.Seen = true
		return s
	case pod != nil:
		return p.judgePod(pod, s)
	case p.due && s.Phase == v1alpha1.PreheatFailed:
		return p.setPhase(Seat{Reason: s.Reason, Message: s.Message, Attempts: 1}, v1alpha1.PreheatPending, "", "")
	case s.Phase != v1alpha1.PreheatReady:
		return s
	case n.Store != nil && !n.Store.Omitted && (s.Seen || n.Store.Observed.After(s.Since.Add(reportLag))):
		return p.setPhase(s, v1alpha1.PreheatPending, reasonNotKept, "the node's store no longer holds all of it")
	case n.ReadySince.After(s.Since), p.due:
		return p.setPhase(s, v1alpha1.PreheatPending, reasonNotSure, "whether the node still has it is looked at again")
	}
	return s
}

// judgePod says how far a node is by its pod.
func (p *planner) judgePod(pod *Pod, s Seat) Seat {
	d := cmp.Or(pod.Data, &Delivery{})
	settled := d.DeliveredAt.Add(settling)
	switch {
	case s.Phase == v1alpha1.PreheatReady, s.Phase == v1alpha1.PreheatFailed && !pod.Created.After(s.Since):
		return s // what came of this pod is known; it is on its way out
	case pod.Phase == corev1.PodSucceeded, d.Delivered && !p.Now.Before(settled):
		return p.readySeat(s)
	case pod.Deleting && d.Delivered:
		return p.readySeat(s)
	case pod.Deleting:
		return p.failedSeat(s, reasonPodDeleted, "the pod "+pod.Name+" was deleted before the data was there")
	case pod.Phase == corev1.PodFailed:
		return p.failedSeat(s, cmp.Or(pod.Reason, reasonPodFailed), cmp.Or(pod.Message, "the pod "+pod.Name+" failed"))
	case !pod.Injected:
		return p.failedSeat(s, v1alpha1.ReasonPodsNotInjected, "the webhook did not put the runtime into the pod "+pod.Name)
	case d.Permanent:
		return p.failedSeat(s, d.Reason, d.Message)
	case d.Delivered:
		p.wakeAt(settled)
		return p.setPhase(s, v1alpha1.PreheatDownloading, v1alpha1.ReasonDelivered, "the data is there; the node's report is to come")
	}
	return p.judgeWaiting(pod, d, s)
}

// judgeWaiting is of a pod that runs, or is to run, and does not have the data.
func (p *planner) judgeWaiting(pod *Pod, d *Delivery, s Seat) Seat {
	age := p.Now.Sub(pod.Created)
	switch {
	case pod.Node == "":
		if age >= nodePatience {
			return p.failedSeat(s, reasonUnschedulable, cmp.Or(pod.Message, "the scheduler did not give the pod a node"))
		}
		p.wakeAt(pod.Created.Add(nodePatience))
		return p.setPhase(s, v1alpha1.PreheatPending, pod.Reason, pod.Message)
	case !d.Reported:
		if age >= reportPatience {
			return p.failedSeat(s, v1alpha1.ReasonRuntimeNotConnected, cmp.Or(d.Message,
				fmt.Sprintf("the runtime of pod %s did not report within %s", pod.Name, reportPatience)))
		}
		p.wakeAt(pod.Created.Add(reportPatience))
		return p.setPhase(s, v1alpha1.PreheatPending, d.Reason, d.Message)
	case d.Failing:
		if age >= itemPatience {
			return p.failedSeat(s, d.Reason, d.Message)
		}
		p.wakeAt(pod.Created.Add(itemPatience))
	}
	return p.setPhase(s, v1alpha1.PreheatDownloading, d.Reason, d.Message)
}

func (p *planner) readySeat(s Seat) Seat {
	s.Attempts, s.Reason, s.Message = 0, "", ""
	return p.setPhase(s, v1alpha1.PreheatReady, "", "")
}

func (p *planner) failedSeat(s Seat, reason, message string) Seat {
	return Seat{Phase: v1alpha1.PreheatFailed, Reason: reason, Message: message, Since: p.Now, Attempts: s.Attempts + 1}
}

// setPhase changes the phase. A node that is tried again says what it failed of
// until there is something else to say.
func (p *planner) setPhase(s Seat, phase v1alpha1.PreheatPhase, reason, message string) Seat {
	s.Seen = s.Seen && phase == v1alpha1.PreheatReady
	if s.Phase != phase {
		s.Phase, s.Since, s.Retry = phase, p.Now, false
	}
	if s.Attempts == 0 || reason != "" {
		s.Reason, s.Message = reason, message
	}
	return s
}

// retryDue reports whether a failed node's time has come, and asks to be woken for it.
func (p *planner) retryDue(s Seat) bool {
	if s.Retry {
		return true
	}
	at := s.Since.Add(backoffAfter(s.Attempts))
	p.wakeAt(at)
	return !p.Now.Before(at)
}

// backoffAfter returns the pause after so many failures.
func backoffAfter(attempts int) time.Duration {
	return backoff.Doubled(minBackoff, maxBackoff, attempts-1)
}
