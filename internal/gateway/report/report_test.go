// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newData(items ...string) *v1alpha1.Data {
	d := &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{Name: "d", Namespace: "shop", UID: "d-1", Generation: 3},
		Spec:       v1alpha1.DataSpec{Revision: "r1", PodName: "p"},
	}
	for _, name := range items {
		d.Spec.DataItems = append(d.Spec.DataItems, v1alpha1.DataItem{Namespace: "default", Name: name, Version: "v1"})
	}
	return d
}

func newItemStatus(name string, phase gatewayv1alpha1.Phase) *gatewayv1alpha1.ItemStatus {
	return &gatewayv1alpha1.ItemStatus{Namespace: "default", Name: name, Phase: phase, Bytes: 5, TotalBytes: 10}
}

func newRequest(items ...*gatewayv1alpha1.ItemStatus) *gatewayv1alpha1.ReportRequest {
	return &gatewayv1alpha1.ReportRequest{Data: "d", Revision: "r1", Items: items}
}

const (
	waiting     = gatewayv1alpha1.Phase_PHASE_WAITING
	downloading = gatewayv1alpha1.Phase_PHASE_DOWNLOADING
	success     = gatewayv1alpha1.Phase_PHASE_SUCCESS
	failed      = gatewayv1alpha1.Phase_PHASE_FAILED
)

func TestCountsAreOfTheItemsOfTheData(t *testing.T) {
	d := newData("a", "b", "c", "missing")
	s := Status(d, newRequest(newItemStatus("a", success), newItemStatus("b", failed), newItemStatus("c", downloading),
		newItemStatus("invented", success),
		newItemStatus("c", 99)), "n1", now)
	if s.DataItems != 4 || s.Success != 1 || s.Failed != 1 || s.Waiting != 2 || s.Ready != "1/4" || len(s.DataItemsStatus) != 4 ||
		s.NodeName != "n1" {
		t.Errorf("status: %+v", s)
	}
	if c := s.Conditions[0]; c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonDeliveryFailed || c.ObservedGeneration != 3 {
		t.Errorf("condition: %+v", c)
	}
	if s = Status(d, newRequest(), "", now); s.Waiting != 4 || s.Conditions[0].Reason != v1alpha1.ReasonWaiting {
		t.Errorf("an empty report: %+v", s)
	}
}

func TestAHostileReportIsSanitized(t *testing.T) {
	hostile := &gatewayv1alpha1.ItemStatus{
		Namespace: "default", Name: "a", Version: "<script>", Phase: failed,
		Reason: "rm -rf", Message: "\x1b[31mred\x00" + strings.Repeat("é", 10000) + "\xff end", Digest: "sha256:../../etc",
		Bytes: math.MaxUint64, TotalBytes: math.MaxUint64, Origin: 99,
		StartTime: &timestamppb.Timestamp{Seconds: math.MaxInt64}, CompletionTime: timestamppb.New(now.Add(time.Hour)),
	}
	r := newRequest(hostile)
	r.CurrentRevision = "../x"
	s := Status(newData("a"), r, "n1", now)
	got := s.DataItemsStatus[0]
	if got.Version != "v1" || got.Reason != "" || got.Digest != "" || got.Bytes < 0 || got.Origin != "" || got.StartTime != nil ||
		got.CompletionTime != nil {
		t.Errorf("item: %+v", got)
	}
	if len(got.Message) > 4096 || strings.ContainsAny(got.Message, "\x00\x1b") || !strings.HasSuffix(got.Message, " end") {
		t.Errorf("message of %d bytes ends in %q", len(got.Message), got.Message[len(got.Message)-10:])
	}
	if s.CurrentRevision != "" {
		t.Errorf("current revision %q", s.CurrentRevision)
	}
}

func TestWithdrawnCountsOnlyWhenRequested(t *testing.T) {
	d, r := newData("a"), newRequest(newItemStatus("a", success))
	r.Withdrawn = true
	if s := Status(d, r, "", now); s.Conditions[0].Reason == v1alpha1.ReasonWithdrawn {
		t.Error("it was not asked for")
	}
	d.Spec.Withdraw = true
	if s := Status(d, r, "", now); s.Conditions[0].Reason != v1alpha1.ReasonWithdrawn {
		t.Errorf("condition: %+v", s.Conditions[0])
	}
}

func TestTheConditionSaysTheCause(t *testing.T) {
	says := func(name string, phase gatewayv1alpha1.Phase, reason, message string) *gatewayv1alpha1.ItemStatus {
		i := newItemStatus(name, phase)
		i.Reason, i.Message = reason, message
		return i
	}
	long := strings.Repeat("x", 3000) + " the end"
	for name, c := range map[string]struct {
		data           *v1alpha1.Data
		request        *gatewayv1alpha1.ReportRequest
		reason, starts string
	}{
		"a pending hook": {newData("a"), newRequest(says("a", downloading, "HookPending", "in the view; a hook is to run")),
			"HookPending", "item default/a: in the view; a hook is to run"},
		"a failure":      {newData("a"), newRequest(says("a", failed, "NotFound", "no object")), "NotFound", "item default/a failed: no object"},
		"a long failure": {newData("a"), newRequest(says("a", failed, "HookFailed", long)), "HookFailed", "item default/a failed: xxx"},
		"nothing to say": {newData("a"), newRequest(says("a", downloading, "Downloading", "")), "Downloading", "item default/a is downloading"},
		"one of one":     {newData("a"), newRequest(newItemStatus("a", success)), "Delivered", "the pod has its item of revision r1"},
		"all of them": {newData("a", "b"), newRequest(newItemStatus("a", success), newItemStatus("b", success)), "Delivered",
			"the pod has all 2 items of revision r1"},
		"the worst first": {newData("a", "b"), newRequest(says("a", waiting, "Waiting", "waits"), says("b", failed, "NotFound", "gone")),
			"NotFound",
			"item default/b failed: gone"},
	} {
		got := Status(c.data, c.request, "", now).Conditions[0]
		if got.Reason != c.reason || !strings.HasPrefix(got.Message, c.starts) || len(got.Message) > 1024 {
			t.Errorf("%s: %s: %q (%d bytes)", name, got.Reason, got.Message, len(got.Message))
		}
		if name == "a long failure" && !strings.HasSuffix(got.Message, " the end") {
			t.Errorf("%s: the end of the output is cut", name)
		}
	}
}

func TestAPhaseIsMoreUrgentThanProgress(t *testing.T) {
	d := newData("a", "b", "c")
	d.Status = Status(d, newRequest(newItemStatus("a", downloading), newItemStatus("b", downloading), newItemStatus("c", downloading)),
		"n1", now)
	further := newItemStatus("a", downloading)
	further.Bytes, further.Message = 7, "7 of 10"
	for name, c := range map[string]struct {
		request *gatewayv1alpha1.ReportRequest
		want    change
	}{
		"the same": {newRequest(newItemStatus("a", downloading), newItemStatus("b", downloading), newItemStatus("c", downloading)),
			nothing},
		"more bytes":       {newRequest(further, newItemStatus("b", downloading), newItemStatus("c", downloading)), bytes},
		"one item is done": {newRequest(newItemStatus("a", downloading), newItemStatus("b", success), newItemStatus("c", downloading)), items},
		"one item failed":  {newRequest(newItemStatus("a", downloading), newItemStatus("b", failed), newItemStatus("c", downloading)), whole},
		"all are done":     {newRequest(newItemStatus("a", success), newItemStatus("b", success), newItemStatus("c", success)), whole},
	} {
		after := Status(d, c.request, "n1", now.Add(time.Second))
		if got := compareStatus(&d.Status, &after); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestEachRevisionHasItsOwnTimeOfDelivery(t *testing.T) {
	d := newData("a")
	d.Status = Status(d, newRequest(newItemStatus("a", success)), "n1", now)
	d.Spec.Revision = "r2"
	later := newRequest(newItemStatus("a", success))
	later.Revision = "r2"
	at := now.Add(time.Hour)
	d.Status = Status(d, later, "n1", at)
	if c := d.Status.Conditions[0]; c.Status != metav1.ConditionTrue || !c.LastTransitionTime.Time.Equal(at) {
		t.Errorf("the condition of the next revision: %+v", c)
	}
	if c := Status(d, later, "n1", at.Add(time.Hour)).Conditions[0]; !c.LastTransitionTime.Time.Equal(at) {
		t.Errorf("repeating a report moved the time: %+v", c)
	}
}
