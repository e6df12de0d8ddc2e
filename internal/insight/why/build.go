// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Build computes the view.
func Build(in *Input) View {
	p := in.pod
	v := View{
		Namespace: p.Namespace, Pod: p.Name, Scheduler: cmp.Or(p.Spec.SchedulerName, corev1.DefaultSchedulerName), Node: p.Spec.NodeName,
		Phase: string(p.Status.Phase), DataSets: []DataSet{}, ComputedTime: metav1.NewTime(in.Now), Nodes: []Node{}, Explanation: []string{},
		Preferences: nodePreferences(p), Unread: in.unread, Weights: weightedPoints(in.Weights, func(index.Weights) int64 { return 1 }, 1),
	}
	v.setScheduled(in)
	var wants []index.Want
	for i := range in.sets {
		if s := &in.sets[i]; !s.isIgnored() {
			wants = append(wants, s.wants...)
		}
	}
	x := in.knownCluster().Index(in.Rack)
	for i := range in.sets {
		if s := &in.sets[i]; !s.isIgnored() {
			x.SetCache(placement.Cached(s.dataSet))
		}
	}
	demand := x.Demand(p.Namespace, wants)
	v.TotalBytes = demand.Total
	if !demand.Caches() {
		v.Weights.Cache = 0 // it does not count
	}
	next := 0
	for i := range in.sets {
		v.DataSets = append(v.DataSets, in.sets[i].buildDataSet(demand, &next))
	}
	switch reason := notPlaced(p); {
	case reason != "":
		v.addExplanation("%s", reason)
	case in.cluster == nil:
		v.explainWithoutNodes(in)
	case len(wants) > 0:
		v.scoreNodes(in, demand)
		fallthrough
	default:
		v.explainPlacement(in, demand)
	}
	return v
}

// setScheduled says since when the pod has a node, or why it has none.
func (v *View) setScheduled(in *Input) {
	var c corev1.PodCondition
	if i := slices.IndexFunc(in.pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodScheduled }); i >= 0 {
		c = in.pod.Status.Conditions[i]
	}
	if v.Node != "" {
		if c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			v.PlacedTime = &c.LastTransitionTime
		}
		v.Events = newestEvents(in.events, "")
		return
	}
	v.Pending = &Pending{Reason: c.Reason, Message: c.Message}
	v.Pending.Events = newestEvents(in.events, c.Message)
}

// newestEvents returns the newest events that say something else than what is told.
func newestEvents(events []corev1.Event, told string) []Event {
	var newest []Event
	known := map[string]bool{told: true}
	for i := range events {
		e := &events[i]
		if known[e.Message] || len(newest) == maxEvents {
			continue
		}
		known[e.Message] = true
		newest = append(newest, Event{
			Reason: e.Reason, Message: e.Message, From: cmp.Or(e.ReportingController, e.Source.Component), Time: metav1.NewTime(lastSeen(e)),
		})
	}
	return newest
}

// knownCluster is the cluster, or an empty one that nothing is said of.
func (in *Input) knownCluster() *nodes.Cluster {
	if in.cluster == nil {
		return nodes.NewCluster(nil, nil)
	}
	return in.cluster
}

// buildDataSet shows one DataSet; next is the place of its first want in the demand.
func (s *set) buildDataSet(demand *index.Demand, next *int) DataSet {
	d := DataSet{
		Name: s.dataSet.Name, Placement: cmp.Or(s.dataSet.Spec.Placement, v1alpha1.PlacementPrefer),
		Revision: placement.Revision(s.dataSet), Items: []Item{},
	}
	for _, w := range s.wants {
		item := Item{Name: w.Item, Version: w.Version}
		if !s.isIgnored() {
			item.Bytes, item.Holders = demand.Sizes[*next], demand.HoldersOf(*next)
			*next++
		}
		if i := slices.IndexFunc(s.delivered, func(d v1alpha1.DataItemStatus) bool {
			return d.Namespace+"/"+d.Name == w.Item && d.Version == w.Version
		}); i >= 0 {
			report := &s.delivered[i]
			item.Origin, item.Phase, item.Reason, item.Message = report.Origin, report.Phase, report.Reason, report.Message
			item.Bytes = cmp.Or(item.Bytes, report.TotalBytes)
		}
		d.Items = append(d.Items, item)
	}
	return d
}

// scoreNodes gives each node its score.
func (v *View) scoreNodes(in *Input, demand *index.Demand) {
	stale := map[string]string{}
	for i := range in.cluster.Stores {
		store := &in.cluster.Stores[i]
		for j := range store.Status.Stores {
			if entry := &store.Status.Stores[j]; entry.Namespace == in.pod.Namespace {
				stale[store.Name] = nodes.Stale(in.cluster.Nodes[store.Name], store, entry)
			}
		}
	}
	most := 0
	for _, holder := range demand.Holders() {
		most = max(most, in.peers[holder])
	}
	for name, node := range in.cluster.Nodes {
		n := Node{Name: name, Chosen: name == v.Node, Downloads: demand.Downloads(name), Pods: in.peers[name],
			Against: nodeObstacles(in.pod, node)}
		held, known := demand.On(name)
		n.HeldBytes, n.DownloadingBytes, n.CachedBytes = held.Bytes, held.Downloading, demand.CachedOn(name)
		for _, w := range demand.Missing(name) {
			n.Missing = append(n.Missing, ItemTitle(w.Item, w.Version))
		}
		if known {
			n.RoomBytes = &held.Available
		}
		facts := nodes.Facts(node, in.Rack)
		f := demand.Facts(name, facts.Rack, facts.Zone)
		// As in the plugin: pods count where the data is; data that no node has, or that is too small to matter,
		// does not count.
		if f.Held > 0 {
			f.Pods, f.MostPods = n.Pods, most
		}
		if !demand.Negligible() {
			n.Score = index.Score(f, in.Weights)
			n.Points = weightedPoints(in.Weights, func(one index.Weights) int64 { return index.Score(f, one) }, in.Weights.Sum(f.Caches))
		}
		n.Against = append(n.Against, v.againstData(demand, name, stale[name])...)
		v.Nodes = append(v.Nodes, n)
	}
	slices.SortFunc(v.Nodes, func(a, b Node) int { return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Name, b.Name)) })
}

// againstData lists what of the data speaks against a node.
func (v *View) againstData(demand *index.Demand, node, stale string) []string {
	var found []string
	held, known := demand.On(node)
	if need := demand.MissingBytes(node); known && need > 0 && demand.RoomNeeded(node) > held.Available {
		found = append(found, "no room for "+bytesize.Text(need))
	}
	if v.supportsRequire() && !demand.Satisfied(node) {
		found = append(found, fmt.Sprintf("has %d of %d required items", held.Required, demand.Required))
	}
	if stale != "" {
		found = append(found, "what it held is not believed: "+stale)
	}
	return found
}

// weightedPoints multiplies each weight with what the dimension alone comes to, in
// shares of the whole, to a tenth.
func weightedPoints(w index.Weights, alone func(index.Weights) int64, whole int64) Points {
	share := func(weight int64, one index.Weights) float64 {
		if whole <= 0 {
			return 0
		}
		return math.Round(float64(weight*alone(one))/float64(whole)*10) / 10
	}
	return Points{
		Node: share(w.Node, index.Weights{Node: 1}), Rack: share(w.Rack, index.Weights{Rack: 1}), Zone: share(w.Zone, index.Weights{Zone: 1}),
		Downloads: share(w.Downloads, index.Weights{Downloads: 1}), Cache: share(w.Cache, index.Weights{Cache: 1}),
		Spread: share(w.Spread, index.Weights{Spread: 1}),
	}
}

// ItemTitle names an item with its version.
func ItemTitle(item, version string) string { return strings.TrimSpace(item + " " + version) }
