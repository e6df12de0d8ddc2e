// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/backoff"
)

// task is something to do on a node: to remove what a namespace left, or without
// one to close the directory of the stores.
type task struct {
	namespace, uid string
	// nameIsGone says that no namespace has the name any more.
	nameIsGone bool
}

// commandArgs are those of the command "node".
func (t task) commandArgs() []string {
	if t.namespace == "" {
		return []string{"close"}
	}
	arguments := []string{"remove", t.namespace}
	if t.uid != "" {
		arguments = append(arguments, "--uid="+t.uid)
	}
	if t.nameIsGone {
		arguments = append(arguments, "--name-is-gone")
	}
	return arguments
}

// String is the task for people, and tells it from others.
func (t task) String() string { return strings.Join(t.commandArgs(), " ") }

// pendingTasks are what is to be done on a NodeStore's node, the most urgent first. The UIDs
// are those of the namespaces that exist.
func pendingTasks(s *v1alpha1.NodeStoreStatus, uids map[string]types.UID) []task {
	var todo []task
	if !s.Closed && len(s.Stores)+len(s.Directories) > 0 {
		todo = append(todo, task{})
	}
	for _, d := range s.Directories {
		uid, there := uids[d.Namespace]
		// Without a UID it is the name's: it stays as long as there is one of the name,
		// whose runtimes take from it what they can use.
		if there && (d.UID == "" || d.UID == string(uid)) {
			continue
		}
		todo = append(todo, task{namespace: d.Namespace, uid: d.UID, nameIsGone: !there})
	}
	return todo
}

// statusAfter returns the status once a task is done.
func (t task) statusAfter(s v1alpha1.NodeStoreStatus) v1alpha1.NodeStoreStatus {
	s.Closed = true // which comes first in every task
	s.Directories = slices.DeleteFunc(slices.Clone(s.Directories), func(d v1alpha1.StoreDirectory) bool {
		return t.namespace != "" && d.Namespace == t.namespace && d.UID == t.uid
	})
	return s
}

// A task that failed is tried again after a time that doubles.
const (
	minBackoff = time.Minute
	maxBackoff = 30 * time.Minute
)

func backoffAfter(failures int) time.Duration {
	return backoff.Doubled(minBackoff, maxBackoff, failures-1)
}

// verdict is how far a pod is.
type verdict int

const (
	working verdict = iota
	succeeded
	failed
)

// patience is how long a pod may be about before it counts as failed: more than its
// deadline, which begins when the kubelet sees it.
const patience = deadline + 5*time.Minute

// podVerdict returns how far a pod is, and why it failed.
func podVerdict(p *corev1.Pod, now time.Time) (verdict, string) {
	switch {
	case p.Status.Phase == corev1.PodSucceeded:
		return succeeded, ""
	case p.Status.Phase == corev1.PodFailed:
		for _, c := range p.Status.ContainerStatuses {
			if t := c.State.Terminated; t != nil && t.Message != "" {
				return failed, strings.TrimSpace(t.Message)
			}
		}
		return failed, strings.TrimSpace(p.Status.Reason + " " + p.Status.Message)
	case now.Sub(p.CreationTimestamp.Time) > patience:
		return failed, "the pod did not end within " + patience.String() + waitingReason(p)
	}
	return working, ""
}

// waitingReason is what a pod that does not run waits for.
func waitingReason(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "" {
			return ": " + w.Reason + " " + w.Message
		}
	}
	return ""
}
