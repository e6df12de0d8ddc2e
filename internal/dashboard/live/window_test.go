// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/insight/status"
)

func pods(n int) []status.Pod {
	list := make([]status.Pod, n)
	for i := range list {
		list[i] = status.Pod{Name: fmt.Sprintf("web-%03d", i), Node: fmt.Sprintf("n%d", i%3), State: status.Updated}
	}
	return list
}

func TestAWindowHasAtMostItsPodsWhateverIsAskedFor(t *testing.T) {
	list := pods(500)
	list[7].State, list[7].Message = status.Failed, "default/w: AccessDenied: no"
	for name, test := range map[string]struct {
		q             Query
		total, offset int
		count         int
		first         string
	}{
		"the first":               {Query{Limit: 50}, 500, 0, 50, "web-000"},
		"a later one":             {Query{Limit: 50, Offset: 480}, 500, 480, 20, "web-480"},
		"behind the end":          {Query{Limit: 50, Offset: 9999}, 500, 500, 0, ""},
		"below the beginning":     {Query{Limit: 50, Offset: -5}, 500, 0, 50, "web-000"},
		"more than is allowed":    {Query{Limit: 100000}, 500, 0, MaxWindow, "web-000"},
		"of a state":              {Query{Limit: 50, State: status.Failed}, 1, 0, 1, "web-007"},
		"by a reason":             {Query{Limit: 50, Text: "accessdenied"}, 1, 0, 1, "web-007"},
		"by node":                 {Query{Limit: 1, Sort: "node", Offset: 167}, 500, 167, 1, "web-001"},
		"that nothing answers to": {Query{Limit: 50, Text: "zzz"}, 0, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := Select(list, test.q)
			first := ""
			if len(w.Pods) > 0 {
				first = w.Pods[0].Name
			}
			if w.Total != test.total || w.Offset != test.offset || len(w.Pods) != test.count || first != test.first {
				t.Errorf("total %d, offset %d, %d pods, first %q", w.Total, w.Offset, len(w.Pods), first)
			}
		})
	}
}

func TestPodsAreGroupedByWhatHoldsThemBack(t *testing.T) {
	list := pods(4)
	for i := range 3 {
		list[i].State = status.Failed
		list[i].Items = []status.Item{{Phase: v1alpha1.DataFailed, Reason: v1alpha1.ReasonAccessDenied}}
	}
	list[2].Items[0].Reason = v1alpha1.ReasonNotFound
	want := []contract.Group{{State: status.Failed, Reason: v1alpha1.ReasonAccessDenied, Pods: 2},
		{State: status.Failed, Reason: v1alpha1.ReasonNotFound, Pods: 1}}
	if diff := cmp.Diff(want, GroupByReason(list)); diff != "" {
		t.Error(diff)
	}
}

func TestPodsOfTheSameSecondAreOnePointOfTheTimelineAndHideNoOther(t *testing.T) {
	start := metav1.NewMicroTime(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	d := &v1alpha1.DataSet{Status: v1alpha1.DataSetStatus{UpdateRevision: "r2", Replicas: 10000,
		Rollout: &v1alpha1.RolloutStatus{Revision: "r2", StartTime: &start}}}
	var data []*v1alpha1.Data
	for i := range 10000 {
		data = append(data, delivered(start.Add(time.Duration(i/100)*time.Second)))
	}
	line := BuildTimeline(d, data)
	if len(line.Pods) != 100 || line.Pods[0] != 100 || line.Pods[49] != 5000 || line.Seconds[49] != 49 {
		t.Errorf("%d points: %+v", len(line.Pods), line)
	}
}

func delivered(at time.Time) *v1alpha1.Data {
	end := metav1.NewTime(at)
	return &v1alpha1.Data{Spec: v1alpha1.DataSpec{Revision: "r2"}, Status: v1alpha1.DataStatus{
		ObservedRevision: "r2", CurrentRevision: "r2",
		DataItemsStatus: []v1alpha1.DataItemStatus{{Phase: v1alpha1.DataSuccess, CompletionTime: &end}},
		Conditions:      []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}},
	}}
}

func TestAPageThatIsOpenedLateHasTheWholeTimeline(t *testing.T) {
	start := metav1.NewMicroTime(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	d := &v1alpha1.DataSet{Status: v1alpha1.DataSetStatus{UpdateRevision: "r2", Replicas: 1000,
		Rollout: &v1alpha1.RolloutStatus{Revision: "r2", StartTime: &start}}}
	var data []*v1alpha1.Data
	for i := range 900 {
		data = append(data, delivered(start.Add(time.Duration(i)*time.Second)))
	}
	line := BuildTimeline(d, data)
	n := len(line.Pods)
	if n == 0 || n > maxPoints || line.Pods[n-1] != 900 || line.Seconds[n-1] != 899 || line.Total != 1000 {
		t.Errorf("%d points: %+v", n, line)
	}
}
