// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/insight/advice"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/insight/plural"
	"github.com/kuda-io/kuda/internal/shorten"
)

const (
	checkStores    = "node-stores"
	checkScheduler = "scheduler"
)

const (
	// storePatience is how long pods may have data on a node of which nothing is
	// reported: runtimes report at once, and every five minutes.
	storePatience = 10 * time.Minute
	// stalePatience is how long the manager may take to take out what is not
	// believed any more.
	stalePatience = time.Minute
	// maxLookups bounds the pods that are read to see which store they have.
	maxLookups = 50
)

// holdings is what is known of what nodes hold.
type holdings struct {
	stores fact[[]v1alpha1.NodeStore]
	nodes  fact[[]corev1.Node]
	// silent are Data of pods with data on nodes of which nothing is reported.
	silent []*v1alpha1.Data
}

// readHoldings reads it for the DataSets that are looked at.
func (in *installation) readHoldings(ctx context.Context, c client.Client) {
	var stores v1alpha1.NodeStoreList
	err := c.List(ctx, &stores)
	in.holdings.stores = fact[[]v1alpha1.NodeStore]{stores.Items, err}
	var list corev1.NodeList
	err = c.List(ctx, &list)
	in.holdings.nodes = fact[[]corev1.Node]{list.Items, err}
	if in.holdings.stores.err == nil {
		in.holdings.silent = in.withNodeStores(ctx, c, in.unreportedData())
	}
}

// place is the store of a namespace on a node.
type place struct{ namespace, node string }

// unreportedData returns one Data for each namespace and node where pods have had
// data for a while and nothing is reported, sorted.
func (in *installation) unreportedData() []*v1alpha1.Data {
	reported := map[place]bool{}
	for i := range in.holdings.stores.value {
		s := &in.holdings.stores.value[i]
		for j := range s.Status.Stores {
			reported[place{s.Status.Stores[j].Namespace, s.Name}] = true
		}
	}
	found := map[place]*v1alpha1.Data{}
	for i := range in.data.value {
		d := &in.data.value[i]
		at := place{d.Namespace, d.Status.NodeName}
		if _, preheats := d.Labels[v1alpha1.LabelPreheat]; preheats || at.node == "" || reported[at] || found[at] != nil ||
			!assignment.Delivered(d) {
			continue
		}
		since := d.CreationTimestamp.Time
		if ready := assignment.Ready(d); ready != nil && ready.LastTransitionTime.After(since) {
			since = ready.LastTransitionTime.Time
		}
		if in.now.Sub(since) > storePatience {
			found[at] = d
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *v1alpha1.Data) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Status.NodeName, b.Status.NodeName))
	})
}

// withNodeStores keeps those whose pods share a store of their node: what a pod
// has to itself is not reported. Of pods that cannot be read nothing is said.
func (in *installation) withNodeStores(ctx context.Context, c client.Client, data []*v1alpha1.Data) []*v1alpha1.Data {
	var shared []*v1alpha1.Data
	for _, d := range data[:min(len(data), maxLookups)] {
		p := &metav1.PartialObjectMetadata{}
		p.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
		err := c.Get(ctx, client.ObjectKey{Namespace: d.Namespace, Name: d.Spec.PodName}, p)
		if err == nil && p.Annotations[v1alpha1.AnnotationStore] == v1alpha1.StoreNode {
			shared = append(shared, d)
		}
	}
	return shared
}

func checkHoldings(in *installation) []Finding {
	h := &in.holdings
	if meta.IsNoMatchError(h.stores.err) {
		return nil // the CRD's own finding says it
	}
	if h.stores.err != nil {
		return []Finding{unreadFinding(checkStores, &Object{Kind: "NodeStore", Name: "*"}, h.stores.err, nil)}
	}
	findings := judgeSilence(h.silent)
	if h.nodes.err != nil {
		findings = append(findings, unreadFinding(checkStores, &Object{Kind: "Node", Name: "*"}, h.nodes.err, nil))
	} else {
		findings = append(findings, in.judgeStale()...)
	}
	switch known := len(h.stores.value); {
	case len(findings) > 0:
	case known == 0:
		findings = append(findings, okFinding(checkStores, nil, "no node has a store yet"))
	default:
		findings = append(findings, okFinding(checkStores, nil, "what nodes hold is known from %s; nothing of it is stale",
			plural.Count(known, "NodeStore")))
	}
	return findings
}

// judgeSilence speaks of nodes with data of which nothing is reported.
func judgeSilence(silent []*v1alpha1.Data) []Finding {
	if len(silent) == 0 {
		return nil
	}
	first := silent[0]
	what := fmt.Sprintf("nothing is known of what node %s holds for namespace %s", first.Status.NodeName, first.Namespace)
	if more := len(silent) - 1; more > 0 {
		what += fmt.Sprintf(", nor of %s of a namespace on a node", plural.Count(more, "more store"))
	}
	return []Finding{{
		Severity: advice.Warning, Check: checkStores, What: what +
			fmt.Sprintf(", where pods have had data for more than %d minutes", int(storePatience.Minutes())),
		Why: "the runtimes there are older than this release, cannot reach the gateway, or kuda-manager may not write NodeStores; new pods are " +
			"placed as if the data were not there",
		Do: []string{
			"see what the runtime and the gateway say:", fmt.Sprintf("kubectl logs %s -n %s -c kuda-runtime --tail 50",
				advice.Word(first.Spec.PodName), first.Namespace), managerLog,
			"where the pods are from before an upgrade, restart their workload:", "kubectl rollout restart deployment/NAME -n " + first.Namespace,
		},
	}}
}

// judgeStale speaks of what nodes were said to hold and may not hold any more.
func (in *installation) judgeStale() []Finding {
	cluster := nodes.NewCluster(in.holdings.nodes.value, slices.Clone(in.holdings.stores.value))
	var findings []Finding
	for i := range cluster.Stores {
		s := &cluster.Stores[i]
		node := cluster.Nodes[s.Name]
		if node != nil {
			if ready := nodes.Ready(node); ready != nil && in.now.Sub(ready.LastTransitionTime.Time) < stalePatience {
				continue
			}
		}
		why, namespaces := "", []string(nil)
		for j := range s.Status.Stores {
			entry := &s.Status.Stores[j]
			if in.scope != "" && entry.Namespace != in.scope {
				continue
			}
			if stale := nodes.Stale(node, s, entry); stale != "" {
				why, namespaces = stale, append(namespaces, entry.Namespace)
			}
		}
		if why == "" {
			continue
		}
		findings = append(findings, Finding{
			Severity: advice.Warning, Check: checkStores, Object: &Object{Kind: "NodeStore", Name: s.Name},
			What: fmt.Sprintf("what it says of %s is not believed: %s", shorten.List(namespaces, ", ", shown), why),
			Why:  "pods are not placed by it; kuda-manager takes such entries out, and runtimes that live report again within five minutes",
			Do:   []string{"see whether the node is well, and what kuda-manager says:", "kubectl describe node " + s.Name, managerLog},
		})
	}
	return findings
}

// schedulerName is the Deployment of the scheduler, and what pods ask for it by.
const schedulerName = "kuda-scheduler"

// checkSchedulers speaks of the scheduler where DataSets or the configuration
// ask for it. A configuration that cannot be read asks for nothing.
func checkSchedulers(in *installation) []Finding {
	var asks, names []string
	for i := range in.dataSets.value {
		if d := &in.dataSets.value[i]; d.Spec.Placement == v1alpha1.PlacementRequire {
			names = append(names, d.Namespace+"/"+d.Name)
		}
	}
	if len(names) > 0 {
		asks = append(asks, "placement is Require in "+shorten.List(names, ", ", shown))
	}
	if readSettings(in.config).SchedulerName == schedulerName {
		asks = append(asks, "the ConfigMap "+configName+" gives it to the pods that DataSets select")
	}
	if len(asks) == 0 {
		return nil
	}
	return judgeScheduler(in.newObject("Deployment", schedulerName), in.scheduler, strings.Join(asks, ", and "))
}

// judgeScheduler returns the findings about the scheduler: whether it runs when something
// asks for it.
func judgeScheduler(o *Object, d fact[*appsv1.Deployment], asks string) []Finding {
	const consequence = "only it waits for nodes with the data: with another scheduler Require is Prefer, and pods that ask for " +
		schedulerName + " stay pending"
	missing := Finding{
		Severity: advice.Problem, Check: checkScheduler, Object: o, What: "is not there, but " + asks, Why: consequence,
		Do: []string{
			"install it:", schedulerInstall,
			"or let the DataSets prefer nodes that hold the data:",
			`kubectl patch dataset NAME -n NAMESPACE --type merge -p '{"spec":{"placement":"Prefer"}}'`,
		},
	}
	if d.err != nil {
		return []Finding{unreadFinding(checkScheduler, o, d.err, &missing)}
	}
	f := judgeDeployment(o, d.value, consequence)
	f.Check = checkScheduler
	return []Finding{f}
}

// schedulerInstall applies the scheduler, which is not part of install/kuda.yaml.
const schedulerInstall = "kubectl apply --server-side -f install/kuda-scheduler.yaml"

// checkPlacement judges the scheduler and the pods of a DataSet with placement
// Require.
func checkPlacement(s *subject) []Finding {
	if s.dataSet.Spec.Placement != v1alpha1.PlacementRequire {
		return nil
	}
	findings := judgeScheduler(&Object{Kind: "Deployment", Namespace: s.system, Name: schedulerName}, s.scheduler,
		"placement of the DataSet is Require")
	var others []string
	for i := range s.pods.value {
		p := &s.pods.value[i]
		if cmp.Or(p.Spec.SchedulerName, corev1.DefaultSchedulerName) == corev1.DefaultSchedulerName {
			others = append(others, p.Name)
		}
	}
	if len(others) == 0 {
		return findings
	}
	slices.Sort(others)
	return append(findings, Finding{
		Severity: advice.Warning, Check: checkScheduler, Object: s.dataSetObject(),
		What: fmt.Sprintf("placement is Require, but pods ask for %s: %s", corev1.DefaultSchedulerName, shorten.List(others, ", ", shown)),
		Why:  "for that scheduler Require is Prefer",
		Do: []string{"set spec.schedulerName: " + schedulerName + " in the pod template, or schedulerName: " + schedulerName +
			" in the ConfigMap kuda-config for all, and restart the workload"},
	})
}
