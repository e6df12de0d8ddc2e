// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestATrimmedDataGivesTheSameView(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	start := metav1.NewMicroTime(at.Time)
	d := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", Generation: 1}}
	d.Status = v1alpha1.DataSetStatus{ObservedGeneration: 1, CurrentRevision: "models-1", UpdateRevision: "models-2", Replicas: 3,
		Rollout: &v1alpha1.RolloutStatus{Revision: "models-2", Phase: v1alpha1.RolloutDelivering, StartTime: &start}}
	item := func(phase v1alpha1.DataPhase) []v1alpha1.DataItemStatus {
		return []v1alpha1.DataItemStatus{{Namespace: "default", Name: "weights", Version: "v2", Phase: phase, Reason: "NotFound", Message: "gone",
			Bytes: 1, TotalBytes: 2, Digest: "sha256:1", StartTime: &at, CompletionTime: &at, Origin: v1alpha1.OriginCache,
			Cache: &v1alpha1.CacheUse{ServedBytes: 1, SourceBytes: 1, FallbackReason: v1alpha1.ReasonCacheStale}}}
	}
	data := func(pod string, phase v1alpha1.DataPhase, failed, success int32) *v1alpha1.Data {
		return &v1alpha1.Data{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models-" + pod, Labels: map[string]string{v1alpha1.LabelPod: pod},
				Annotations: map[string]string{"a": "b"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}}},
			Spec: v1alpha1.DataSpec{PodName: pod, Revision: "models-2", DataItems: []v1alpha1.DataItem{{Namespace: "default", Name: "weights",
				RemotePath: "models/w", Container: "server"}}, Lifecycle: &v1alpha1.Lifecycle{}},
			Status: v1alpha1.DataStatus{ObservedRevision: "models-2", CurrentRevision: "models-1", NodeName: "n1", DataItems: 1, Failed: failed,
				Success: success, DataItemsStatus: item(phase), Conditions: []metav1.Condition{
					{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "NotFound", Message: "gone"}, {Type: "Other"}}},
		}
	}
	var whole, trimmed []*v1alpha1.Data
	for _, x := range []*v1alpha1.Data{data("a", v1alpha1.DataFailed, 1, 0), data("b", v1alpha1.DataDownloading, 0, 0),
		data("c", v1alpha1.DataSuccess, 0, 1), data("", v1alpha1.DataWaiting, 0, 0)} {
		whole = append(whole, x.DeepCopy())
		small, err := trimObject(x)
		if err != nil {
			t.Fatal(err)
		}
		trimmed = append(trimmed, small.(*v1alpha1.Data))
	}
	in := Input{DataSet: d, Now: at.Time, Program: "kuda"}
	in.Data = whole
	want := Build(in)
	in.Data = trimmed
	if diff := cmp.Diff(want, Build(in)); diff != "" {
		t.Error(diff)
	}
	if want.Failure == nil || want.Failure.Path != "models/w" {
		t.Errorf("%+v", want.Failure)
	}
}
