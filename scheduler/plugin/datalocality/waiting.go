// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/placement/index"
)

// waiting is the pods for which some nodes were not good enough. When a node
// becomes so, the pods are activated: taken out of whatever queue they wait in, or
// tried again when the attempt that runs has failed.
//
// The scheduler's own way, a hint for an event, would be asked before the index
// knows of the event, or after; here the index comes first.
type waiting struct {
	p *Plugin

	mu     sync.Mutex
	groups map[*index.Demand]*waiters
	of     map[types.UID]*waiters
}

// waiters are pods of a namespace that want the same.
type waiters struct {
	namespace string
	demand    *index.Demand
	pods      map[types.UID]*corev1.Pod
}

func newWaiting(p *Plugin) *waiting {
	return &waiting{p: p, groups: map[*index.Demand]*waiters{}, of: map[types.UID]*waiters{}}
}

func (w *waiting) putPod(pod *corev1.Pod, d *index.Demand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[pod.UID] != w.groups[d] || w.groups[d] == nil {
		w.leaveGroup(pod.UID)
		w.joinGroup(pod, pod.Namespace, d)
		return
	}
	w.groups[d].pods[pod.UID] = pod
}

func (w *waiting) removePod(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leaveGroup(uid)
}

// leaveGroup is called with the lock held.
func (w *waiting) leaveGroup(uid types.UID) {
	g := w.of[uid]
	if g == nil {
		return
	}
	delete(w.of, uid)
	delete(g.pods, uid)
	if len(g.pods) == 0 {
		delete(w.groups, g.demand)
	}
}

// joinGroup is called with the lock held.
func (w *waiting) joinGroup(pod *corev1.Pod, namespace string, d *index.Demand) {
	g := w.groups[d]
	if g == nil {
		g = &waiters{namespace: namespace, demand: d, pods: map[types.UID]*corev1.Pod{}}
		w.groups[d] = g
	}
	g.pods[pod.UID] = pod
	w.of[pod.UID] = g
}

// nodeChanged wakes the pods that a node is good enough for now and was not before.
// It is called after the index was told.
func (w *waiting) nodeChanged(node string) {
	w.mu.Lock()
	woken := map[string]*corev1.Pod{}
	for _, g := range groupsOf(w.groups) {
		now := w.p.index.Demand(g.namespace, g.demand.Wants)
		if now == g.demand {
			continue
		}
		before, after := w.p.answers.get(g.demand), w.p.answers.get(now)
		wake := after.allowsNode(node) && !before.allowsNode(node) || !after.restrictsNodes()
		for uid, pod := range g.pods {
			w.leaveGroup(uid)
			if wake {
				woken[pod.Namespace+"/"+pod.Name] = pod
			} else {
				w.joinGroup(pod, g.namespace, now)
			}
		}
	}
	w.mu.Unlock()
	w.activatePods(woken)
}

// namespaceChanged wakes the pods that want something else now.
func (w *waiting) namespaceChanged(ctx context.Context, namespace string) {
	w.mu.Lock()
	woken := map[string]*corev1.Pod{}
	for _, g := range groupsOf(w.groups) {
		if g.namespace != namespace {
			continue
		}
		for uid, pod := range g.pods {
			_, wants, err := w.p.catalog.wantsOf(ctx, pod)
			if err == nil && slices.Equal(wants, g.demand.Wants) {
				continue
			}
			w.leaveGroup(uid)
			woken[pod.Namespace+"/"+pod.Name] = pod
		}
	}
	w.mu.Unlock()
	w.activatePods(woken)
}

// groupsOf is a copy: the map changes while it is gone through.
func groupsOf(groups map[*index.Demand]*waiters) []*waiters {
	list := make([]*waiters, 0, len(groups))
	for _, g := range groups {
		list = append(list, g)
	}
	return list
}

func (w *waiting) activatePods(pods map[string]*corev1.Pod) {
	if len(pods) == 0 {
		return
	}
	w.p.log.V(3).Info("data changed; trying pods again", "pods", len(pods))
	w.p.handle.Activate(w.p.log, pods)
}
