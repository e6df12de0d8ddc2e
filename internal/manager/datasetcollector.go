// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/version"
)

const (
	// maxMeasuredDataSets bounds the DataSets that have series of their own, which
	// namespaces share. One has about twenty, and one for each item.
	maxMeasuredDataSets = 2000
	// maxMeasuredItems bounds the items of one DataSet that have a series, the first ones.
	maxMeasuredItems = 32
	// keepSamples is for how long samples are served again: to make them takes a walk over
	// all Data.
	keepSamples = 5 * time.Second
)

// leaderCollector tells which replica leads.
type leaderCollector struct {
	elected <-chan struct{}
	leader  *prometheus.Desc
	build   *prometheus.Desc
}

func newLeaderCollector(elected <-chan struct{}) *leaderCollector {
	return &leaderCollector{
		elected: elected,
		leader:  prometheus.NewDesc("kuda_leader", "1 for the replica that runs the controllers, 0 for the others.", nil, nil),
		build: prometheus.NewDesc("kuda_build_info", "Always 1; the labels say what runs.",
			nil, prometheus.Labels{"version": version.Version, "goversion": runtime.Version()}),
	}
}

// Describe implements prometheus.Collector.
func (c *leaderCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- c.leader
	descriptions <- c.build
}

// Collect implements prometheus.Collector.
func (c *leaderCollector) Collect(samples chan<- prometheus.Metric) {
	leads := 0.0
	if isElected(c.elected) {
		leads = 1
	}
	samples <- prometheus.MustNewConstMetric(c.leader, prometheus.GaugeValue, leads)
	samples <- prometheus.MustNewConstMetric(c.build, prometheus.GaugeValue, 1)
}

func isElected(elected <-chan struct{}) bool {
	select {
	case <-elected:
		return true
	default:
		return false
	}
}

// dataSetCollector tells how each DataSet is, on the leader. It keeps samples for some
// seconds; after that the series of a DataSet end with it.
type dataSetCollector struct {
	reader  client.Reader
	elected <-chan struct{}
	most    int
	now     func() time.Time

	mu   sync.Mutex
	kept []prometheus.Metric
	// made is when the kept samples were; zero: there are none.
	made time.Time

	conditions *prometheus.Desc
	replicas   *prometheus.Desc
	rollouts   *prometheus.Desc
	starts     *prometheus.Desc
	steps      *prometheus.Desc
	items      *prometheus.Desc
	left       *prometheus.Desc
}

func newDataSetCollector(reader client.Reader, elected <-chan struct{}, most int) *dataSetCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"namespace", "dataset"}, labels...), nil)
	}
	return &dataSetCollector{
		reader: reader, elected: elected, most: most, now: time.Now,
		conditions: desc("kuda_dataset_condition", "Conditions of a DataSet: 1 for the status that each has.", "type", "status"),
		replicas: desc("kuda_dataset_replicas", "Pods of a DataSet: injected (all that carry the runtime), ready, updated, unavailable, "+
			"not_started and uninjected.", "state"),
		rollouts: desc("kuda_rollout_info", "Always 1; the labels say where the rollout of a DataSet is.", "phase", "reason", "revision"),
		starts:   desc("kuda_rollout_start_timestamp_seconds", "When the newest rollout of a DataSet began."),
		steps:    desc("kuda_rollout_step", "The index of the step that the rollout of a DataSet takes; their number when all are done."),
		items:    desc("kuda_item_bytes", "Bytes of an item in its present version, as pods report it; the first 32 of a DataSet.", "item"),
		left: prometheus.NewDesc("kuda_datasets_unmeasured", "DataSets without series of their own, because there are too many.",
			nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *dataSetCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.conditions, c.replicas, c.rollouts, c.starts, c.steps, c.items, c.left} {
		descriptions <- d
	}
}

// Collect implements prometheus.Collector. A replica that does not lead, or whose cache
// does not answer, has no samples.
func (c *dataSetCollector) Collect(samples chan<- prometheus.Metric) {
	if !isElected(c.elected) {
		return
	}
	for _, sample := range c.currentSamples() {
		samples <- sample
	}
}

// currentSamples returns those that are kept, or makes them. While some are made, other
// callers wait for the same.
func (c *dataSetCollector) currentSamples() []prometheus.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.made.IsZero() && now.Sub(c.made) < keepSamples {
		return c.kept
	}
	c.kept, c.made = nil, time.Time{}
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var sets v1alpha1.DataSetList
	var datas v1alpha1.DataList
	if c.reader.List(ctx, &sets, client.UnsafeDisableDeepCopy) != nil || c.reader.List(ctx, &datas, client.UnsafeDisableDeepCopy) != nil {
		return nil
	}
	measured := shareMeasurement(sets.Items, c.most)
	samples := []prometheus.Metric{
		prometheus.MustNewConstMetric(c.left, prometheus.GaugeValue, float64(len(sets.Items)-len(measured))),
	}
	sizes := itemSizes(measured, datas.Items)
	for _, d := range measured {
		samples = c.appendDataSet(samples, d, sizes[client.ObjectKeyFromObject(d)])
	}
	c.kept, c.made = samples, now
	return samples
}

// shareMeasurement returns the DataSets that are measured: where there are more than most,
// each namespace has as many as the others, the first by name, and what one does not need
// is the others'. So a namespace does not take the series of another one.
func shareMeasurement(sets []v1alpha1.DataSet, most int) []*v1alpha1.DataSet {
	all := make([]*v1alpha1.DataSet, 0, len(sets))
	for i := range sets {
		all = append(all, &sets[i])
	}
	byName := func(a, b *v1alpha1.DataSet) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(all, byName)
	if len(all) <= most {
		return all
	}
	place := make(map[*v1alpha1.DataSet]int, len(all))
	inNamespace := make(map[string]int)
	for _, d := range all {
		place[d] = inNamespace[d.Namespace]
		inNamespace[d.Namespace]++
	}
	slices.SortStableFunc(all, func(a, b *v1alpha1.DataSet) int { return cmp.Compare(place[a], place[b]) })
	all = all[:most]
	slices.SortFunc(all, byName)
	return all
}

func (c *dataSetCollector) appendDataSet(samples []prometheus.Metric, d *v1alpha1.DataSet, sizes map[itemKey]int64) []prometheus.Metric {
	send := func(desc *prometheus.Desc, value float64, labels ...string) {
		samples = append(samples,
			prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{d.Namespace, d.Name}, labels...)...))
	}
	s := &d.Status
	for i := range s.Conditions {
		send(c.conditions, 1, s.Conditions[i].Type, string(s.Conditions[i].Status))
	}
	for state, n := range map[string]int32{
		"injected": s.Replicas, "ready": s.Success, "updated": s.UpdatedReplicas, "unavailable": s.UnavailableReplicas,
		"not_started": s.NotStartedReplicas, "uninjected": s.UninjectedReplicas,
	} {
		send(c.replicas, float64(n), state)
	}
	if r := s.Rollout; r != nil {
		send(c.rollouts, 1, string(r.Phase), r.Reason, r.Revision)
		send(c.steps, float64(r.Step))
		if r.StartTime != nil {
			send(c.starts, float64(r.StartTime.UnixMicro())/1e6)
		}
	}
	for i := range min(len(d.Spec.Template.DataItems), maxMeasuredItems) {
		item := &d.Spec.Template.DataItems[i]
		if size, ok := sizes[itemKey{item.Namespace, item.Name, item.Version}]; ok {
			send(c.items, float64(size), item.Namespace+"/"+item.Name)
		}
	}
	return samples
}

// itemKey names an item of a DataSet in a version.
type itemKey struct{ namespace, name, version string }

// itemSizes returns the bytes of each item of these DataSets, as pods that have it report.
func itemSizes(measured []*v1alpha1.DataSet, datas []v1alpha1.Data) map[types.NamespacedName]map[itemKey]int64 {
	sizes := make(map[types.NamespacedName]map[itemKey]int64, len(measured))
	for _, d := range measured {
		sizes[client.ObjectKeyFromObject(d)] = make(map[itemKey]int64)
	}
	for i := range datas {
		d := &datas[i]
		if assignment.Preheats(d) {
			continue
		}
		of, ok := sizes[types.NamespacedName{Namespace: d.Namespace, Name: assignment.DataSet(d)}]
		if !ok {
			continue
		}
		for j := range d.Status.DataItemsStatus {
			item := &d.Status.DataItemsStatus[j]
			if item.Phase != v1alpha1.DataSuccess {
				continue
			}
			k := itemKey{item.Namespace, item.Name, item.Version}
			of[k] = max(of[k], item.Bytes)
		}
	}
	return sizes
}
