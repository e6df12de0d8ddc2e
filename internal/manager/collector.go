// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

const collectTimeout = 5 * time.Second

// collector counts what the cache holds when it is asked, so that no count can
// drift from what is.
type collector struct {
	reader   client.Reader
	dataSets *prometheus.Desc
	datas    *prometheus.Desc
	lacking  *prometheus.Desc
	phases   *prometheus.Desc
	pods     *prometheus.Desc
	preheats *prometheus.Desc
	// What nodes hold.
	stores    *prometheus.Desc
	snapshots *prometheus.Desc
	bytes     *prometheus.Desc
	tight     *prometheus.Desc
}

func newCollector(reader client.Reader) *collector {
	return &collector{
		reader: reader,
		dataSets: prometheus.NewDesc("kuda_datasets", "DataSets, by the reason of their condition Ready.",
			[]string{"reason"}, nil),
		datas: prometheus.NewDesc("kuda_datas", "Data (pods of a DataSet), by phase: success, failed, downloading or waiting.",
			[]string{"phase"}, nil),
		lacking: prometheus.NewDesc("kuda_uninjected_pods",
			"Running pods that match a DataSet and lack the runtime; a pod of two DataSets counts twice.",
			nil, nil),
		phases: prometheus.NewDesc("kuda_rollout_phases", "DataSets, by the phase of their rollout.",
			[]string{"phase"}, nil),
		pods: prometheus.NewDesc("kuda_rollout_pods", "Data (pods of a DataSet), by the revision that they are to have: "+
			"stable, update (the one that is rolled out) or other.", []string{"role"}, nil),
		preheats: prometheus.NewDesc("kuda_preheat_nodes", "Nodes that DataSets with spec.preheat want their data on, by how far they are: "+
			"ready, failed or underway. A node that two DataSets want counts twice.", []string{"phase"}, nil),
		stores:    prometheus.NewDesc("kuda_nodestores", "NodeStores: nodes that are known to hold data, or to have held some.", nil, nil),
		snapshots: prometheus.NewDesc("kuda_nodestore_snapshots", "Complete snapshots on all nodes.", nil, nil),
		bytes:     prometheus.NewDesc("kuda_nodestore_bytes", "Bytes of the complete snapshots on all nodes.", nil, nil),
		tight: prometheus.NewDesc("kuda_nodestores_tight", "Nodes with a store in which downloads may have less than a tenth of what there "+
			"is in all: of the file system, or of the store's quota.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.dataSets
	descriptions <- c.datas
	descriptions <- c.lacking
	descriptions <- c.phases
	descriptions <- c.pods
	descriptions <- c.preheats
	descriptions <- c.stores
	descriptions <- c.snapshots
	descriptions <- c.bytes
	descriptions <- c.tight
}

// Collect implements prometheus.Collector. While the cache does not answer,
// there are no samples.
func (c *collector) Collect(samples chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var sets v1alpha1.DataSetList
	var datas v1alpha1.DataList
	if c.reader.List(ctx, &sets, client.UnsafeDisableDeepCopy) != nil || c.reader.List(ctx, &datas, client.UnsafeDisableDeepCopy) != nil {
		return
	}
	reasons := map[string]int{}
	uninjected := 0
	for i := range sets.Items {
		reasons[readyReason(sets.Items[i].Status.Conditions)]++
		uninjected += int(sets.Items[i].Status.UninjectedReplicas)
	}
	phases := map[v1alpha1.DataPhase]int{v1alpha1.DataSuccess: 0, v1alpha1.DataFailed: 0, v1alpha1.DataDownloading: 0, v1alpha1.DataWaiting: 0}
	datas.Items = slices.DeleteFunc(datas.Items, func(d v1alpha1.Data) bool { return assignment.Preheats(&d) })
	for i := range datas.Items {
		phases[phaseOf(&datas.Items[i])]++
	}
	for reason, n := range reasons {
		samples <- prometheus.MustNewConstMetric(c.dataSets, prometheus.GaugeValue, float64(n), reason)
	}
	for p, n := range phases {
		samples <- prometheus.MustNewConstMetric(c.datas, prometheus.GaugeValue, float64(n), string(p))
	}
	samples <- prometheus.MustNewConstMetric(c.lacking, prometheus.GaugeValue, float64(uninjected))
	c.collectRollouts(samples, sets.Items, datas.Items)
	c.collectPreheats(samples, sets.Items)
	c.collectStores(ctx, samples)
}

func (c *collector) collectStores(ctx context.Context, samples chan<- prometheus.Metric) {
	var stores v1alpha1.NodeStoreList
	if c.reader.List(ctx, &stores, client.UnsafeDisableDeepCopy) != nil {
		return
	}
	var snapshots, bytes, tight float64
	for i := range stores.Items {
		if slices.ContainsFunc(stores.Items[i].Status.Stores, lacksRoom) {
			tight++
		}
		snapshots += float64(stores.Items[i].Status.Items)
		bytes += float64(stores.Items[i].Status.Bytes)
	}
	samples <- prometheus.MustNewConstMetric(c.stores, prometheus.GaugeValue, float64(len(stores.Items)))
	samples <- prometheus.MustNewConstMetric(c.snapshots, prometheus.GaugeValue, snapshots)
	samples <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, bytes)
	samples <- prometheus.MustNewConstMetric(c.tight, prometheus.GaugeValue, tight)
}

// lacksRoom reports whether downloads may have less than a tenth of a store's file system,
// or of its quota, once everything that is not needed is evicted.
func lacksRoom(s v1alpha1.NamespaceStore) bool {
	whole := s.CapacityBytes
	if s.QuotaBytes > 0 {
		whole = min(whole, s.QuotaBytes)
	}
	return s.AvailableBytes < whole/10
}

func (c *collector) collectRollouts(samples chan<- prometheus.Metric, sets []v1alpha1.DataSet, datas []v1alpha1.Data) {
	phases := map[v1alpha1.RolloutPhase]int{
		v1alpha1.RolloutDelivering: 0, v1alpha1.RolloutPrefetching: 0, v1alpha1.RolloutProgressing: 0, v1alpha1.RolloutStopped: 0,
		v1alpha1.RolloutRollingBack: 0, v1alpha1.RolloutRolledBack: 0, v1alpha1.RolloutCompleted: 0,
	}
	byName := make(map[types.NamespacedName]*v1alpha1.DataSetStatus, len(sets))
	for i := range sets {
		s := &sets[i].Status
		byName[client.ObjectKeyFromObject(&sets[i])] = s
		if s.Rollout != nil {
			phases[s.Rollout.Phase]++
		}
	}
	roles := map[string]int{"stable": 0, "update": 0, "other": 0}
	for i := range datas {
		d := &datas[i]
		if s := byName[types.NamespacedName{Namespace: d.Namespace, Name: assignment.DataSet(d)}]; s != nil {
			roles[revisionRole(s, d.Spec.Revision)]++
		}
	}
	for p, n := range phases {
		samples <- prometheus.MustNewConstMetric(c.phases, prometheus.GaugeValue, float64(n), string(p))
	}
	for r, n := range roles {
		samples <- prometheus.MustNewConstMetric(c.pods, prometheus.GaugeValue, float64(n), r)
	}
}

func (c *collector) collectPreheats(samples chan<- prometheus.Metric, sets []v1alpha1.DataSet) {
	phases := map[string]int32{"ready": 0, "failed": 0, "underway": 0}
	for i := range sets {
		if s := sets[i].Status.Preheat; s != nil {
			phases["ready"] += s.Ready
			phases["failed"] += s.Failed
			phases["underway"] += s.Desired - s.Ready - s.Failed
		}
	}
	for p, n := range phases {
		samples <- prometheus.MustNewConstMetric(c.preheats, prometheus.GaugeValue, float64(n), p)
	}
}

// revisionRole is what a revision is to its DataSet.
func revisionRole(s *v1alpha1.DataSetStatus, revision string) string {
	switch revision {
	case s.CurrentRevision:
		return "stable"
	case s.UpdateRevision:
		return "update"
	default:
		return "other"
	}
}

func readyReason(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return "Unknown"
}

// phaseOf is the phase of a pod's Data as a whole.
func phaseOf(d *v1alpha1.Data) v1alpha1.DataPhase {
	switch {
	case assignment.Delivered(d):
		return v1alpha1.DataSuccess
	case !assignment.Current(d):
		return v1alpha1.DataWaiting
	case d.Status.Failed > 0:
		return v1alpha1.DataFailed
	case d.Status.Downloading > 0 || d.Status.Success > 0:
		return v1alpha1.DataDownloading
	default:
		return v1alpha1.DataWaiting
	}
}
