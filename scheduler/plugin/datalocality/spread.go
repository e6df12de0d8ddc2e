// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"strconv"
	"strings"
	"sync"

	fwk "k8s.io/kube-scheduler/framework"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/inject"
)

// maxGroups bounds for how many groups of DataSets pods are counted.
const maxGroups = 1024

// spread counts pods on nodes that hold data, by the DataSets that select them.
// Pods are looked at again only on nodes that changed since.
type spread struct {
	mu     sync.Mutex
	groups map[string]*group
}

// group is the pods of the same DataSets. Cycles follow one another, so Score
// reads it without a lock while no pod is counted.
type group struct {
	nodes map[string]count
}

type count struct {
	generation int64
	pods       int
}

func newSpread() *spread { return &spread{groups: map[string]*group{}} }

func (x *spread) countPods(nodes fwk.NodeInfoLister, namespace string, s *state) (*group, int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	name := groupName(namespace, s.dataSets)
	g := x.groups[name]
	if g == nil {
		if len(x.groups) >= maxGroups {
			clear(x.groups)
		}
		g = &group{nodes: map[string]count{}}
		x.groups[name] = g
	}
	most := 0
	for _, holder := range s.Holders() {
		node, err := nodes.Get(holder)
		if err != nil {
			continue // The scheduler does not know it yet, or no longer.
		}
		c, ok := g.nodes[holder]
		if !ok || c.generation != node.GetGeneration() {
			c = count{generation: node.GetGeneration(), pods: podsOf(node, namespace, s.dataSets)}
			g.nodes[holder] = c
		}
		most = max(most, c.pods)
	}
	return g, most
}

func podsOf(node fwk.NodeInfo, namespace string, dataSets []*v1alpha1.DataSet) int {
	n := 0
	for _, info := range node.GetPods() {
		if pod := info.GetPod(); pod.Namespace == namespace && len(inject.Selecting(dataSets, pod.Labels)) > 0 {
			n++
		}
	}
	return n
}

// groupName is another one after a selector changed.
func groupName(namespace string, dataSets []*v1alpha1.DataSet) string {
	var b strings.Builder
	b.WriteString(namespace)
	for _, d := range dataSets {
		b.WriteByte('/')
		b.WriteString(d.Name)
		b.WriteByte('@')
		b.WriteString(string(d.UID))
		b.WriteString(strconv.FormatInt(d.Generation, 10))
	}
	return b.String()
}
