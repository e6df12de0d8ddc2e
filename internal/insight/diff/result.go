// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/inspection"
)

// Result is the difference of one DataSet.
type Result struct {
	Namespace string `json:"namespace"`
	DataSet   string `json:"dataset"`
	// From and To say what was compared.
	From string `json:"from"`
	To   string `json:"to"`
	Template
	// Spec is what differs outside of the template; with a file only.
	Spec []Change `json:"spec,omitempty"`
	// Items that change, with their files, as the first node that answered sees
	// them.
	Files []inspection.PlannedItem `json:"files,omitempty"`
	// Nodes is what each node has, and what it would have to move.
	Nodes []Node `json:"nodes,omitempty"`
	Total *Total `json:"total,omitempty"`
	// Note says why no node was asked, where that was not wanted so.
	Note string `json:"note,omitempty"`
	// NotAsked is how many nodes were left out, by --nodes.
	NotAsked int `json:"notAsked,omitempty"`
}

// HasChanges reports whether anything differs.
func (r *Result) HasChanges() bool { return !r.isEmpty() || len(r.Spec) > 0 }

// Node is what giving its pods the contents would take.
type Node struct {
	Name string `json:"name"`
	Pods int    `json:"pods"`
	// Asked is the pod that answered, or was to.
	Asked        string `json:"asked,omitempty"`
	TotalBytes   int64  `json:"totalBytes"`
	BytesPresent int64  `json:"bytesPresent"`
	BytesToMove  int64  `json:"bytesToMove"`
	// Error says why there are no figures.
	Error string `json:"error,omitempty"`
}

// Total is the sum over the nodes that answered.
type Total struct {
	Nodes        int   `json:"nodes"`
	Pods         int   `json:"pods"`
	BytesPresent int64 `json:"bytesPresent"`
	BytesToMove  int64 `json:"bytesToMove"`
}

// station is a node with the pods that the DataSet selects there.
type station struct {
	node string
	pods int
	// ask is the pod whose runtime speaks for the node; empty: none runs.
	ask string
	// downloads is how often an item is downloaded there: once where the pods
	// share the node's store, else once for each pod.
	downloads int
}

// groupByNode groups the DataSet's pods by node. The first pod by name whose
// runtime runs speaks for its node.
func groupByNode(selector map[string]string, pods []corev1.Pod) []station {
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	byNode := make(map[string]*station)
	var order []*station
	for i := range pods {
		p := &pods[i]
		if !podstate.Selects(selector, p) || !podstate.Live(p) || !podstate.Injected(p) || p.Spec.NodeName == "" {
			continue
		}
		s := byNode[p.Spec.NodeName]
		if s == nil {
			s = &station{node: p.Spec.NodeName}
			byNode[s.node], order = s, append(order, s)
		}
		s.pods++
		if p.Annotations[v1alpha1.AnnotationStore] == v1alpha1.StorePod {
			s.downloads++
		}
		if s.ask == "" && podstate.Runs(p) {
			s.ask = p.Name
		}
	}
	out := make([]station, 0, len(order))
	for _, s := range order {
		// Pods that share the store count as one, beside those that do not.
		if s.downloads < s.pods {
			s.downloads++
		}
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b station) int { return cmp.Compare(a.node, b.node) })
	return out
}

// addNode adds what a node answered to the result.
func (r *Result) addNode(s station, plan *inspection.Plan, err error) {
	n := Node{Name: s.node, Pods: s.pods, Asked: s.ask}
	if err != nil {
		n.Error = err.Error()
		r.Nodes = append(r.Nodes, n)
		return
	}
	times := int64(s.downloads)
	for i := range plan.Items {
		item := &plan.Items[i]
		if item.Reason != "" {
			if n.Error == "" {
				n.Error = item.Namespace + "/" + item.Name + ": " + item.Reason + ": " + item.Error
			}
			continue
		}
		n.TotalBytes += item.TotalBytes * times
		n.BytesPresent += item.BytesPresent * times
		n.BytesToMove += item.BytesToMove * times
	}
	if r.Files == nil {
		r.Files = plan.Items
	}
	r.Nodes = append(r.Nodes, n)
	if r.Total == nil {
		r.Total = &Total{}
	}
	r.Total.Nodes++
	r.Total.Pods += s.pods
	r.Total.BytesPresent += n.BytesPresent
	r.Total.BytesToMove += n.BytesToMove
}
