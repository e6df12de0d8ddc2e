// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/internal/shorten"
)

// Scheduler is the name that kuda-scheduler is known by to pods.
const Scheduler = "kuda-scheduler"

func (v *View) addExplanation(format string, args ...any) {
	v.Explanation = append(v.Explanation, fmt.Sprintf(format, args...))
}

// explainPlacement puts into words what the figures say.
func (v *View) explainPlacement(in *Input, demand *index.Demand) {
	v.explainPolicies(in)
	if len(demand.Wants) == 0 {
		return
	}
	absent := v.explainHolders(demand)
	switch {
	case v.Node != "":
		v.explainChosen(demand)
		return
	case demand.Required == 0 || !v.supportsRequire():
		v.explainBest()
	case !v.explainRequired(demand):
		absent = append(absent, requiredSets(demand)...)
	}
	v.adviseHeating(in, absent)
}

// explainWithoutNodes puts into words what the pod alone shows.
func (v *View) explainWithoutNodes(in *Input) {
	v.explainPolicies(in)
	if v.Node == "" {
		return
	}
	v.explainOrigins()
	v.explainPreferences(v.Node)
}

// explainPolicies speaks of DataSets whose data has no part in it, or another
// than they ask for.
func (v *View) explainPolicies(in *Input) {
	for i := range in.sets {
		d := in.sets[i].dataSet
		switch {
		case in.sets[i].isIgnored():
			v.addExplanation("placement of DataSet %s is Ignore, so its data has no part in where the pod runs", d.Name)
		case d.Spec.Placement != v1alpha1.PlacementRequire || v.Scheduler == Scheduler:
		case v.supportsRequire():
			v.addExplanation("placement of DataSet %s is Require, which %s holds to; whether %s does is not known here", d.Name,
				Scheduler, v.Scheduler)
		default:
			v.addExplanation("placement of DataSet %s is Require, which %s holds to; the pod asks for %s, for which it is Prefer", d.Name,
				Scheduler, v.Scheduler)
		}
	}
}

// supportsRequire reports whether the pod's scheduler may hold to placement Require: that
// of Kubernetes does not.
func (v *View) supportsRequire() bool { return v.Scheduler != corev1.DefaultSchedulerName }

// explainHolders describes the data that no node has, and returns its DataSets.
func (v *View) explainHolders(demand *index.Demand) (dataSets []string) {
	for i, w := range demand.Wants {
		if len(demand.HoldersOf(i)) > 0 {
			continue
		}
		v.addExplanation("no node holds %s", ItemTitle(w.Item, w.Version))
		dataSets = append(dataSets, w.DataSet)
	}
	var coming []string
	for i := range v.Nodes {
		if n := &v.Nodes[i]; n.DownloadingBytes > 0 && !n.Chosen {
			coming = append(coming, n.Name)
		}
	}
	if len(dataSets) > 0 && len(coming) > 0 {
		v.addExplanation("data that the pod wants is on its way to %s", shorten.List(coming, ", ", listed))
	}
	return dataSets
}

// adviseHeating says how to bring data to nodes before the pod.
func (v *View) adviseHeating(in *Input, dataSets []string) {
	patch := "kubectl patch dataset %s -n %s --type merge -p '{\"spec\":%s}'"
	for i := range in.sets {
		d := in.sets[i].dataSet
		if !slices.Contains(dataSets, d.Name) {
			continue
		}
		if d.Spec.Preheat == nil {
			v.Do = append(v.Do, "bring the data of DataSet "+d.Name+" to the nodes before the pod:",
				fmt.Sprintf(patch, d.Name, d.Namespace, `{"preheat":{}}`))
		} else {
			v.Do = append(v.Do, "see how far the preheating of DataSet "+d.Name+" is:",
				fmt.Sprintf("%s status %s -n %s", in.Program, d.Name, d.Namespace))
		}
		if d.Spec.Placement == v1alpha1.PlacementRequire && v.supportsRequire() {
			v.Do = append(v.Do, "or let its pods run where it has to be downloaded:",
				fmt.Sprintf(patch, d.Name, d.Namespace, `{"placement":"Prefer"}`))
		}
	}
}

// explainChosen compares the node that the pod is on with the others.
func (v *View) explainChosen(demand *index.Demand) {
	i := slices.IndexFunc(v.Nodes, func(n Node) bool { return n.Chosen })
	if i < 0 {
		v.addExplanation("the node %s is not there any more", v.Node)
		return
	}
	n := &v.Nodes[i]
	text := fmt.Sprintf("%s holds %s of %s", n.Name, bytesize.Text(n.HeldBytes), bytesize.Text(v.TotalBytes))
	others := slices.DeleteFunc(slices.Clone(demand.Holders()), func(node string) bool {
		return node == n.Name || len(demand.Missing(node)) > 0
	})
	switch {
	case len(n.Missing) == 0:
		v.addExplanation("%s; %s", text, describeHolders(len(others), "it"))
	case len(others) > 0:
		v.addExplanation("%s; %s: %s", text, describeHolders(len(others), "all of it"), shorten.List(others, ", ", listed))
	default:
		v.addExplanation("%s", text)
	}
	if demand.Total > 0 && demand.Negligible() {
		v.addExplanation("data of less than %s is no reason for a node: it has no score", bytesize.Text(index.LeastBytes))
	}
	if n.CachedBytes > 0 {
		v.addExplanation("a cache has %s of it on %s", bytesize.Text(n.CachedBytes), n.Name)
	}
	v.explainOrigins()
	v.explainPreferences(n.Name)
	if best := v.bestNode(); best != nil && best.Score > n.Score {
		v.addExplanation("now %s has the better score; what the scheduler knew then, and what else it weighed, is not recorded", best.Name)
	}
}

func describeHolders(n int, what string) string {
	switch n {
	case 0:
		return "no other node holds " + what
	case 1:
		return "1 other node holds " + what
	}
	return fmt.Sprintf("%d other nodes hold %s", n, what)
}

// explainOrigins tells what the pod found on its node from what it brought there:
// the figures of now do not.
func (v *View) explainOrigins() {
	var there, brought []string
	for _, d := range v.DataSets {
		for _, item := range d.Items {
			switch item.Origin {
			case v1alpha1.OriginNode:
				there = append(there, ItemTitle(item.Name, item.Version))
			case v1alpha1.OriginSource, v1alpha1.OriginCache, v1alpha1.OriginPeer:
				brought = append(brought, ItemTitle(item.Name, item.Version))
			}
		}
	}
	if len(there) > 0 {
		v.addExplanation("the pod found %s on the node", shorten.List(there, ", ", listed))
	}
	if len(brought) > 0 {
		v.addExplanation("the pod itself brought %s there", shorten.List(brought, ", ", listed))
	}
}

// explainPreferences speaks of what was known when the pod was made.
func (v *View) explainPreferences(chosen string) {
	i := slices.IndexFunc(v.Preferences, func(p Preference) bool { return p.Node == chosen })
	switch {
	case len(v.Preferences) == 0:
	case i >= 0:
		v.addExplanation("when the pod was made, %s was preferred with weight %d of 100", chosen, v.Preferences[i].Weight)
	default:
		names := make([]string, 0, len(v.Preferences))
		for _, p := range v.Preferences {
			names = append(names, p.Node)
		}
		v.addExplanation("when the pod was made, %s preferred, and not %s: something else counted more", joinWithVerb(names), chosen)
	}
}

func joinWithVerb(names []string) string {
	if len(names) == 1 {
		return names[0] + " was"
	}
	return shorten.List(names, ", ", listed) + " were"
}

// explainRequired describes a pod that waits for a node with its data, and
// reports whether there is one.
func (v *View) explainRequired(demand *index.Demand) bool {
	var with, free []string
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if !demand.Satisfied(n.Name) {
			continue
		}
		with = append(with, n.Name)
		if len(n.Against) == 0 {
			free = append(free, n.Name)
		}
	}
	switch {
	case len(with) == 0:
		v.addExplanation("no node has all that is required, and the pod waits until one has")
	case len(free) == 0:
		v.addExplanation("what is required is on %s, but the pod may not run there: see AGAINST", shorten.List(with, ", ", listed))
	default:
		v.addExplanation("what is required is on %s; data does not keep the pod from there", shorten.List(free, ", ", listed))
	}
	return len(with) > 0
}

// requiredSets are the DataSets with placement Require.
func requiredSets(demand *index.Demand) []string {
	var names []string
	for _, w := range demand.Wants {
		if w.Required {
			names = append(names, w.DataSet)
		}
	}
	return names
}

// bestNode is the node with the best score of those that nothing here speaks against.
func (v *View) bestNode() *Node {
	i := slices.IndexFunc(v.Nodes, func(n Node) bool { return len(n.Against) == 0 })
	if i < 0 {
		return nil
	}
	return &v.Nodes[i]
}

// explainBest speaks of where a pod without a node would do best.
func (v *View) explainBest() {
	n := v.bestNode()
	switch {
	case n == nil:
		v.addExplanation("something speaks against each node: see AGAINST")
	case n.HeldBytes > 0:
		v.addExplanation("%s would do best: it holds %s of %s", n.Name, bytesize.Text(n.HeldBytes), bytesize.Text(v.TotalBytes))
	case n.CachedBytes > 0:
		v.addExplanation("no node that the pod can run on holds any of it; %s would do best: a cache has %s of it there", n.Name,
			bytesize.Text(n.CachedBytes))
	default:
		v.addExplanation("no node that the pod can run on holds any of it, so it is downloaded wherever the pod goes")
	}
}

// listed is how many names a sentence has at most.
const listed = 3
