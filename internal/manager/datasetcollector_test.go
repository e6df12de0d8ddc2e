// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// gatherSeries returns all series as "name{values} value".
func gatherSeries(t *testing.T, c prometheus.Collector) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var series []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			series = append(series, fmt.Sprintf("%s{%s} %v", family.GetName(), strings.Join(labels, ","), metric.GetGauge().GetValue()))
		}
	}
	slices.Sort(series)
	return series
}

func TestTheLeaderMeasuresEachDataSet(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	began := metav1.NewMicroTime(metav1.Unix(1700000000, 500000000).Time)
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models"}}
	d.Spec.Template.DataItems = []v1alpha1.DataItem{
		{Namespace: "default", Name: "m", Version: "v2"}, {Namespace: "default", Name: "unknown", Version: "v1"},
	}
	d.Status = v1alpha1.DataSetStatus{
		Replicas: 4, Success: 3, UpdatedReplicas: 2, UnavailableReplicas: 1, UninjectedReplicas: 5,
		Rollout: &v1alpha1.RolloutStatus{Revision: "models-1", Phase: v1alpha1.RolloutStopped, Reason: v1alpha1.ReasonPodsFailed, Step: 1,
			StartTime: &began},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPodsFailed}},
	}
	data := func(name, label, version string, phase v1alpha1.DataPhase, bytes int64) *v1alpha1.Data {
		return &v1alpha1.Data{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{label: "models"}},
			Status: v1alpha1.DataStatus{DataItemsStatus: []v1alpha1.DataItemStatus{
				{Namespace: "default", Name: "m", Version: version, Phase: phase, Bytes: bytes},
			}},
		}
	}
	objects := fake.NewClientBuilder().WithScheme(scheme).WithObjects(d,
		data("new", v1alpha1.LabelDataSet, "v2", v1alpha1.DataSuccess, 7), data("old", v1alpha1.LabelDataSet, "v1", v1alpha1.DataSuccess, 90),
		data("half", v1alpha1.LabelDataSet, "v2", v1alpha1.DataDownloading, 80),
		data("ahead", v1alpha1.LabelPreheat, "v2", v1alpha1.DataSuccess, 70),
	).Build()
	elected := make(chan struct{})
	c := newDataSetCollector(objects, elected, 10)
	if got := gatherSeries(t, c); len(got) > 0 {
		t.Errorf("a replica that does not lead: %v", got)
	}
	close(elected)
	of := "dataset=models,namespace=shop"
	replicas := func(state string, n int) string {
		return fmt.Sprintf("kuda_dataset_replicas{%s,state=%s} %d", of, state, n)
	}
	want := []string{
		"kuda_dataset_condition{" + of + ",status=False,type=Ready} 1",
		replicas("injected", 4), replicas("ready", 3), replicas("updated", 2), replicas("unavailable", 1), replicas("not_started", 0),
		replicas("uninjected", 5),
		"kuda_datasets_unmeasured{} 0",
		"kuda_item_bytes{dataset=models,item=default/m,namespace=shop} 7",
		"kuda_rollout_info{dataset=models,namespace=shop,phase=Stopped,reason=PodsFailed,revision=models-1} 1",
		"kuda_rollout_start_timestamp_seconds{" + of + "} 1.7000000005e+09",
		"kuda_rollout_step{" + of + "} 1",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, gatherSeries(t, c)); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	if err := objects.Delete(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, gatherSeries(t, c)); diff != "" {
		t.Errorf("the next scrape walks all objects again (-want +got):\n%s", diff)
	}
	c.now = func() time.Time { return time.Now().Add(keepSamples) }
	if diff := cmp.Diff([]string{"kuda_datasets_unmeasured{} 0"}, gatherSeries(t, c)); diff != "" {
		t.Errorf("after the DataSet is gone (-want +got):\n%s", diff)
	}
}

func TestOnlySoManyDataSetsAreMeasured(t *testing.T) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	var objects []client.Object
	for _, name := range []string{"c", "a", "b"} {
		objects = append(objects, &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	elected := make(chan struct{})
	close(elected)
	series := strings.Join(gatherSeries(t, newDataSetCollector(fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build(),
		elected, 2)), "\n")
	if !strings.Contains(series, "dataset=a,") || !strings.Contains(series, "dataset=b,") || strings.Contains(series, "dataset=c,") ||
		!strings.Contains(series, "kuda_datasets_unmeasured{} 1") {
		t.Errorf("series:\n%s", series)
	}
}

func TestANamespaceDoesNotTakeTheSeriesOfAnother(t *testing.T) {
	var sets []v1alpha1.DataSet
	for i := range 10 {
		sets = append(sets, v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "aaa", Name: fmt.Sprintf("m%d", i)}})
	}
	for _, name := range []string{"b", "a"} {
		sets = append(sets, v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	}
	for most, want := range map[int]string{
		2: "aaa/m0 shop/a", 5: "aaa/m0 aaa/m1 aaa/m2 shop/a shop/b", 6: "aaa/m0 aaa/m1 aaa/m2 aaa/m3 shop/a shop/b",
	} {
		var got []string
		for _, d := range shareMeasurement(sets, most) {
			got = append(got, d.Namespace+"/"+d.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("of %d: %v, want %s", most, got, want)
		}
	}
	if got := shareMeasurement(sets, 12); len(got) != 12 {
		t.Errorf("%d are measured where there is room for all", len(got))
	}
}

func TestOnlySoManyItemsOfADataSetAreMeasured(t *testing.T) {
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models"}}
	sizes := map[itemKey]int64{}
	for i := range 2 * maxMeasuredItems {
		name := fmt.Sprintf("m%d", i)
		d.Spec.Template.DataItems = append(d.Spec.Template.DataItems, v1alpha1.DataItem{Namespace: "default", Name: name, Version: "v1"})
		sizes[itemKey{"default", name, "v1"}] = 1
	}
	c := newDataSetCollector(nil, nil, 1)
	all, none := len(c.appendDataSet(nil, d, sizes)), len(c.appendDataSet(nil, d, nil))
	if all-none != maxMeasuredItems {
		t.Errorf("%d items have series", all-none)
	}
}

func TestAReplicaTellsWhetherItLeads(t *testing.T) {
	elected := make(chan struct{})
	c := newLeaderCollector(elected)
	for _, want := range []string{"kuda_leader{} 0", "kuda_leader{} 1"} {
		series := gatherSeries(t, c)
		if !slices.Contains(series, want) || len(series) != 2 || !strings.HasPrefix(series[0], "kuda_build_info{goversion=go") {
			t.Errorf("%v, want %s", series, want)
		}
		if want == "kuda_leader{} 0" {
			close(elected)
		}
	}
}
