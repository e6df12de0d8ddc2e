// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// maxPerPod is how many streams of one pod may be open: the one in use, and
// one that takes its place. An older one is ended.
const maxPerPod = 2

// Hub is safe for concurrent use; the zero value is not ready.
type Hub struct {
	mu   sync.Mutex
	pods map[types.UID][]*Subscription
	// namespaces holds the same subscriptions by namespace.
	namespaces map[string]map[*Subscription]struct{}
	// dataSets holds those by the DataSets that they ask about.
	dataSets map[types.NamespacedName]map[*Subscription]struct{}
	// reporters holds those by node whose pods say what the node holds.
	reporters map[string]map[*Subscription]struct{}
}

// New makes an empty hub.
func New() *Hub {
	return &Hub{
		pods:       make(map[types.UID][]*Subscription),
		namespaces: make(map[string]map[*Subscription]struct{}),
		dataSets:   make(map[types.NamespacedName]map[*Subscription]struct{}),
		reporters:  make(map[string]map[*Subscription]struct{}),
	}
}

// Subscription is one open stream.
type Subscription struct {
	hub       *Hub
	namespace string
	pod       types.UID
	woken     chan struct{}
	ended     chan struct{}
	once      sync.Once
	again     chan struct{}
	// node is where the pod reports for; "" when it does not.
	node string
	// also are further namespaces whose changes wake the stream.
	also []string
	// about are the DataSets that the stream asks about.
	about []types.NamespacedName
}

// Subscribe opens a stream. The caller closes it.
func (h *Hub) Subscribe(namespace string, pod types.UID) *Subscription {
	s := &Subscription{
		hub: h, namespace: namespace, pod: pod,
		woken: make(chan struct{}, 1), ended: make(chan struct{}), again: make(chan struct{}),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	open := append(h.pods[pod], s)
	if len(open) > maxPerPod {
		open[0].signalEnd()
		h.removeSubscription(open[0])
		open = open[1:]
	}
	h.pods[pod] = open
	if h.namespaces[namespace] == nil {
		h.namespaces[namespace] = make(map[*Subscription]struct{})
	}
	h.namespaces[namespace][s] = struct{}{}
	return s
}

// Also wakes the stream for these namespaces, too.
func (s *Subscription) Also(namespaces []string) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, namespace := range namespaces {
		if s.hub.namespaces[namespace] == nil {
			s.hub.namespaces[namespace] = make(map[*Subscription]struct{})
		}
		s.hub.namespaces[namespace][s] = struct{}{}
	}
	s.also = append(s.also, namespaces...)
}

// About wakes the stream for these DataSets of its namespace, too, and reports whether there
// is one among them for which it was not woken before.
func (s *Subscription) About(dataSets []string) bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	added := false
	for _, name := range dataSets {
		key := types.NamespacedName{Namespace: s.namespace, Name: name}
		if _, known := s.hub.dataSets[key][s]; known {
			continue
		}
		if s.hub.dataSets[key] == nil {
			s.hub.dataSets[key] = make(map[*Subscription]struct{})
		}
		s.hub.dataSets[key][s] = struct{}{}
		s.about, added = append(s.about, key), true
	}
	return added
}

// WakeDataSet wakes the streams that ask about a DataSet.
func (h *Hub) WakeDataSet(key types.NamespacedName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.dataSets[key] {
		s.signalWake()
	}
}

// Reports notes that a pod says what its node holds, until its streams end.
func (h *Hub) Reports(pod types.UID, node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.pods[pod] {
		if s.node != "" {
			continue
		}
		s.node = node
		if h.reporters[node] == nil {
			h.reporters[node] = make(map[*Subscription]struct{})
		}
		h.reporters[node][s] = struct{}{}
	}
}

// Reconnect asks for new streams of the pods that say what a node holds: a
// runtime that connects says it again.
func (h *Hub) Reconnect(node string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.reporters[node] {
		close(s.again)
	}
	delete(h.reporters, node)
}

// Woken receives after something may have changed.
func (s *Subscription) Woken() <-chan struct{} { return s.woken }

// Ended is closed when newer streams of the pod have taken this one's place.
func (s *Subscription) Ended() <-chan struct{} { return s.ended }

// Again is closed when the stream is to be opened anew.
func (s *Subscription) Again() <-chan struct{} { return s.again }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.signalEnd()
	open := s.hub.pods[s.pod]
	for i, other := range open {
		if other == s {
			open = append(open[:i:i], open[i+1:]...)
			break
		}
	}
	if len(open) == 0 {
		delete(s.hub.pods, s.pod)
	} else {
		s.hub.pods[s.pod] = open
	}
	s.hub.removeSubscription(s)
}

func (s *Subscription) signalEnd() { s.once.Do(func() { close(s.ended) }) }

// removeSubscription takes the subscription out of all but its pod; the lock is held.
func (h *Hub) removeSubscription(s *Subscription) {
	for _, namespace := range append([]string{s.namespace}, s.also...) {
		delete(h.namespaces[namespace], s)
		if len(h.namespaces[namespace]) == 0 {
			delete(h.namespaces, namespace)
		}
	}
	for _, key := range s.about {
		delete(h.dataSets[key], s)
		if len(h.dataSets[key]) == 0 {
			delete(h.dataSets, key)
		}
	}
	delete(h.reporters[s.node], s)
	if len(h.reporters[s.node]) == 0 {
		delete(h.reporters, s.node)
	}
}

// Wake wakes the streams of a pod.
func (h *Hub) Wake(pod types.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.pods[pod] {
		s.signalWake()
	}
}

// WakeNamespace wakes the streams of all pods of a namespace.
func (h *Hub) WakeNamespace(namespace string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.namespaces[namespace] {
		s.signalWake()
	}
}

// WakeAll wakes every stream.
func (h *Hub) WakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, open := range h.pods {
		for _, s := range open {
			s.signalWake()
		}
	}
}

func (s *Subscription) signalWake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Open is the number of open streams.
func (h *Hub) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, open := range h.pods {
		n += len(open)
	}
	return n
}
