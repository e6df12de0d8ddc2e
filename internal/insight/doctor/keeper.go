// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/insight/plural"
	"github.com/kuda-io/kuda/internal/shorten"
)

const checkKeepersName = "keepers"

// damagePatience is how long what a keeper found damaged is spoken of.
const damagePatience = 24 * time.Hour

// keeperPods lists the pods of kuda-node.
const keeperPods = "kubectl get pods -n kuda-node -o wide -l app.kubernetes.io/name=kuda-node"

// checkKeepers judges the keepers of kuda-node, and what they found in the stores. Where no
// keeper ever reported, there is nothing to judge.
func checkKeepers(in *installation) []Finding {
	if in.holdings.stores.err != nil || in.holdings.nodes.err != nil {
		return nil // the finding about the stores says it
	}
	cluster := nodes.NewCluster(in.holdings.nodes.value, slices.Clone(in.holdings.stores.value))
	var findings []Finding
	reporting := 0
	for i := range cluster.Stores {
		s := &cluster.Stores[i]
		node := cluster.Nodes[s.Name]
		if s.Status.Keeper == nil || node == nil {
			continue
		}
		ready := nodes.Facts(node, "").ReadySince
		switch silent := in.now.Sub(s.Status.Keeper.ObservedTime.Time); {
		case silent < v1alpha1.KeeperTrust:
			reporting++
		case !ready.IsZero() && in.now.Sub(ready) > v1alpha1.KeeperTrust:
			findings = append(findings, silentKeeper(s, silent))
		}
		findings = append(findings, in.judgeStores(s)...)
	}
	if len(findings) == 0 && reporting > 0 {
		findings = append(findings, okFinding(checkKeepersName, nil, "%s what the stores of their nodes hold; nothing was found damaged",
			plural.Count(reporting, "keeper")+" reported"))
	}
	return findings
}

func silentKeeper(s *v1alpha1.NodeStore, silent time.Duration) Finding {
	return Finding{
		Severity: advice.Warning, Check: checkKeepersName, Object: &Object{Kind: "NodeStore", Name: s.Name},
		What: fmt.Sprintf("the keeper of the node, pod kuda-node/%s, has not reported for %s", s.Status.Keeper.PodName,
			silent.Round(time.Minute)),
		Why: "what the node holds is not known, nothing is evicted across namespaces, and nothing that is gone is removed there; pods " +
			"and their deliveries are not affected",
		Do: []string{"see whether kuda-node runs on the node, and what its keeper says:", keeperPods,
			"kubectl logs -n kuda-node " + s.Status.Keeper.PodName + " -c keeper --tail 50"},
	}
}

// judgeStores speaks of stores that cannot be read, and of what was found damaged.
func (in *installation) judgeStores(s *v1alpha1.NodeStore) (findings []Finding) {
	var unreadable, damaged []string
	last := ""
	for i := range s.Status.Stores {
		store := &s.Status.Stores[i]
		if in.scope != "" && store.Namespace != in.scope {
			continue
		}
		if store.Unreadable != "" {
			unreadable = append(unreadable, store.Namespace+" ("+store.Unreadable+")")
		}
		for _, d := range store.Damaged {
			if in.now.Sub(d.FoundTime.Time) < damagePatience {
				damaged, last = append(damaged, store.Namespace), d.Message
			}
		}
	}
	object := &Object{Kind: "NodeStore", Name: s.Name}
	if len(unreadable) > 0 {
		findings = append(findings, Finding{
			Severity: advice.Warning, Check: checkKeepersName, Object: object,
			What: "stores cannot be read as a whole: " + shorten.List(unreadable, ", ", shown),
			Why:  "a pod of the namespace changed what belongs to its runtime; what cannot be read is not counted and not evicted",
			Do:   []string{"find the pod, and delete the directory of the store on the node when no pod of the namespace runs there"},
		})
	}
	if len(damaged) > 0 {
		slices.Sort(damaged)
		findings = append(findings, Finding{
			Severity: advice.Warning, Check: checkKeepersName, Object: object,
			What: fmt.Sprintf("not what was delivered: %s in %s; the last one: %s", plural.Count(len(damaged), "snapshot"),
				shorten.List(slices.Compact(damaged), ", ", shown), last),
			Why: "the node's disk loses bytes, or a process on the node or a pod of the namespace changed them; pods that used them get them anew",
			Do: []string{"see what was found, and look at the node's disk:", "kubectl get events --field-selector reason=SnapshotDamaged",
				"kubectl get nodestore " + s.Name + " -o yaml"},
		})
	}
	return findings
}
