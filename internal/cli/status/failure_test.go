// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/insight/status"
)

func TestTheFirstFailureIsToldWithItsCauseAndAdvice(t *testing.T) {
	failed := func() *v1alpha1.Data {
		d := moved(data("web-3", "node-b", newRevision, oldRevision, item("weights", v1alpha1.DataFailed, v1alpha1.ReasonHookFailed, 0, 0)))
		d.Spec.DataItems[0] = v1alpha1.DataItem{Namespace: "default", Name: "weights", RemotePath: "models/v9", Container: "server"}
		d.Status.DataItemsStatus[0].Message = "exit code 1"
		return d
	}
	ahead := done("web-3", "node-b", oldRevision)
	ahead.Spec.PrefetchRevision = newRevision
	ahead.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: newRevision, Phase: v1alpha1.DataFailed,
		Reason: v1alpha1.ReasonInsufficientSpace, Message: "needs 4 GiB"}
	stranger := done("web-3", "node-b", newRevision)
	stranger.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown,
		Reason: v1alpha1.ReasonAuthorityChanged, Message: "x509: unknown authority"}}
	for name, test := range map[string]struct {
		data *v1alpha1.Data
		want status.Failure
		do   string
	}{
		"an item": {failed(), status.Failure{Item: "default/weights", Version: "v2", Path: "models/v9", Reason: v1alpha1.ReasonHookFailed,
			Message: "exit code 1"}, "kubectl exec web-3 -n shop -c server -- ls -lR /kuda/data"},
		"a prefetch": {ahead, status.Failure{Reason: v1alpha1.ReasonInsufficientSpace, Message: "needs 4 GiB"}, "kubectl exec web-3 -n shop"},
		"another authority": {stranger, status.Failure{Reason: v1alpha1.ReasonAuthorityChanged, Message: "x509: unknown authority"},
			" -n shop"},
		"the application": {moved(done("web-3", "node-b", newRevision)),
			status.Failure{Message: "it became unready or restarted after the switch"}, "kubectl logs web-3 -n shop --all-containers"},
	} {
		d := models(func(d *v1alpha1.DataSet) {
			if name == "the application" {
				d.Status.Rollout.FailedPods = []string{"web-3"}
			}
		})
		v := build(d, append(fleet()[4:], test.data))
		if v.Failure == nil {
			t.Errorf("%s: no failure in %+v", name, v.Pods)
			continue
		}
		got := *v.Failure
		if do := strings.Join(got.Do, "\n"); !strings.Contains(do, test.do) || got.Why == "" || got.Pod != "web-3" || got.Node != "node-b" {
			t.Errorf("%s: %+v", name, got)
		}
		got.Pod, got.Node, got.Why, got.Do = "", "", "", nil
		if got.Item != test.want.Item || got.Version != test.want.Version || got.Path != test.want.Path || got.Reason != test.want.Reason ||
			got.Message != test.want.Message {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
	stopped := build(models(phase(v1alpha1.RolloutStopped, v1alpha1.ReasonPodsFailed, "1 of 1 pods failed")), []*v1alpha1.Data{failed()})
	want := "failed: revision 7: PodsFailed: 1 of 1 pods failed; pod web-3, item default/weights: HookFailed: exit code 1"
	if got := (&command{}).result(&stopped); got != want {
		t.Errorf("the last line is %q, want %q", got, want)
	}
	if v := build(models(), fleet()[4:]); v.Failure != nil {
		t.Errorf("a failure where no pod failed: %+v", v.Failure)
	}
}
