// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// ask puts a request for a retry of the update revision down.
func (b *bench) ask(token string) string {
	b.t.Helper()
	d := b.set()
	request := "retry " + d.Status.UpdateRevision + " " + token
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRolloutRequest, request)
	if err := b.client.Update(b.t.Context(), d); err != nil {
		b.t.Fatal(err)
	}
	b.asked = request
	return assignment.RequestToken(request)
}

// tokens are those of the Data, by pod.
func (b *bench) tokens() map[string]string {
	tokens := map[string]string{}
	for name, d := range b.datas() {
		if token := assignment.RetryToken(d); token != "" {
			tokens[name] = token
		}
	}
	return tokens
}

func TestARequestReachesPodsInWhichSomethingFailed(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	b.pass()
	b.report("", "a")
	b.report(v1alpha1.ReasonNotFound, "b")
	b.pass()
	request := b.ask("one")
	b.pass()
	if got := b.tokens(); len(got) != 1 || got["b"] != request {
		t.Fatalf("tokens: %v", got)
	}
	if got := b.set().Status.Rollout.Request; got != b.asked {
		t.Errorf("the request is not acknowledged: %q", got)
	}
	if n := b.pass(); n != 0 {
		t.Errorf("another pass wrote %v", b.writes)
	}
	// What fails later is not asked for by a request that stays.
	b.report(v1alpha1.ReasonNotFound, "a")
	b.pass()
	b.restart()
	b.pass()
	if got := b.tokens(); len(got) != 1 {
		t.Errorf("tokens: %v", got)
	}
	next := b.ask("two")
	b.pass()
	if got := b.tokens(); got["a"] != next || got["b"] != next {
		t.Errorf("tokens of the next request: %v", got)
	}
}

// A manager that dies before it says that the request was carried out asks again, for
// the same.
func TestARequestIsNotLostWithTheManager(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	b.report(v1alpha1.ReasonNotFound, "a")
	b.pass()
	request := b.ask("one")
	refused := false
	b.refuse = func(o client.Object) error {
		if _, ok := o.(*v1alpha1.Data); ok && !refused {
			refused = true
			return errors.New("not now")
		}
		return nil
	}
	_, _ = b.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	if got := b.set().Status.Rollout.Request; !refused || got == b.asked {
		t.Fatalf("acknowledged although no pod was asked: %q", got)
	}
	b.restart()
	b.pass()
	if got := b.tokens(); got["a"] != request || b.set().Status.Rollout.Request != b.asked {
		t.Errorf("tokens: %v", got)
	}
}

// Pods that a retry of the rollout moves back are not to try the failed revision there.
func TestARetryOfTheRolloutDoesNotAskThePodsThatGoBack(t *testing.T) {
	b := fleet(t)
	b.pass()
	moved := b.on(b.set().Status.UpdateRevision)
	b.report(v1alpha1.ReasonHookFailed, moved...)
	b.pass()
	if got := b.set().Status.Rollout.Phase; got != v1alpha1.RolloutStopped {
		t.Fatalf("phase %s", got)
	}
	b.ask("one")
	b.pass()
	if got := b.tokens(); len(got) != 0 {
		t.Errorf("tokens: %v", got)
	}
}

func TestTheConditionNamesTheFirstPodWithoutCredentials(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true), web("c", true))
	b.pass()
	b.play(true)
	b.pass()
	if c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionCredentialsAvailable); c != nil {
		t.Errorf("no runtime has told, yet: %+v", c)
	}
	tell := func(status metav1.ConditionStatus, pods ...string) {
		t.Helper()
		datas := b.datas()
		for _, name := range pods {
			d := datas[name]
			meta.SetStatusCondition(&d.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionCredentialsAvailable, Status: status,
				Reason: v1alpha1.ReasonCredentialsMissing, Message: "Secret keys is not there"})
			if err := b.client.Status().Update(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		b.pass()
	}
	tell(metav1.ConditionTrue, "a")
	tell(metav1.ConditionFalse, "b", "c")
	s := b.set().Status
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCredentialsAvailable)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonCredentialsMissing ||
		!strings.Contains(c.Message, "2 of 3 pods") || !strings.Contains(c.Message, "pod b: Secret keys is not there") {
		t.Errorf("condition: %+v", c)
	}
	if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("the data is there: %+v", ready)
	}
	tell(metav1.ConditionTrue, "b", "c")
	if status, _ := b.reason(v1alpha1.ConditionCredentialsAvailable); status != metav1.ConditionTrue {
		t.Errorf("all have them: %s", status)
	}
	if n := b.pass(); n != 0 {
		t.Errorf("another pass wrote %v", b.writes)
	}
}

func TestALongRequestHasAShortToken(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	b.report(v1alpha1.ReasonNotFound, "a")
	b.pass()
	token := b.ask(strings.Repeat("x", 300))
	b.pass()
	if got := b.tokens()["a"]; got != token || len(got) > 256 {
		t.Errorf("token %q", got)
	}
}

// A policy may refuse to change one Data. The plan goes on for the other pods, and the pod
// is asked once that is allowed.
func TestARefusedRetryDoesNotHoldUpThePlan(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	b.pass()
	b.report(v1alpha1.ReasonNotFound, "a", "b")
	b.pass()
	token := b.ask("one")
	if err := b.client.Create(t.Context(), web("c", true)); err != nil {
		t.Fatal(err)
	}
	b.refuse = refuseDataOf("a")
	for range 3 {
		b.passRefused()
	}
	if got := b.tokens(); got["b"] != token || got["a"] != "" {
		t.Errorf("tokens: %v", got)
	}
	if b.datas()["c"] == nil || b.set().Status.Rollout.Request != b.asked {
		t.Error("the plan was not carried out")
	}
	c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionProgressing)
	if c.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(c.Message, "pod a") {
		t.Errorf("%+v", c)
	}
	b.report(v1alpha1.ReasonNotFound, "c") // after the request
	b.refuse = nil
	b.pass()
	if got := b.tokens(); got["a"] != token || got["c"] != "" {
		t.Errorf("tokens once the policy allows it: %v", got)
	}
	if n := b.pass(); n > 1 {
		t.Errorf("another pass wrote %v", b.writes)
	}
}

func TestARefusedBaselineDoesNotHoldUpTheNextRollout(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	b.pass()
	b.play(true)
	b.pass()
	first := b.set().Spec.Template
	b.edit("v2")
	b.pass()
	d := b.set()
	d.Spec.Template = first // its pods that were not moved yet have it
	if err := b.client.Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for _, data := range b.datas() {
		data.Spec.Baseline = &v1alpha1.PodHealth{}
		if err := b.client.Update(t.Context(), data); err != nil {
			t.Fatal(err)
		}
	}
	b.refuse = refuseDataOf("a", "b")
	_ = b.attempt()
	if s := b.set().Status; s.Rollout.Revision != s.UpdateRevision || s.ObservedGeneration != b.set().Generation {
		t.Errorf("the rollout did not begin: %+v", s.Rollout)
	}
}

// The cache may have a Data whose name is another pod's by now.
func TestARetryIsNotWrittenIntoAnotherPodsData(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	b.report(v1alpha1.ReasonNotFound, "a")
	b.pass()
	b.ask("one")
	replaced := false
	b.refuse = func(o client.Object) error {
		if _, ok := o.(*v1alpha1.Data); ok && !replaced {
			replaced = true
			next := b.datas()["a"]
			next.UID = "next"
			return b.client.Update(t.Context(), next)
		}
		return nil
	}
	_ = b.attempt()
	if got := b.tokens(); !replaced || len(got) != 0 {
		t.Errorf("tokens: %v", got)
	}
}

// Reports change the version of a Data all the time.
func TestAReportIsNotInTheWayOfARetry(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	b.report(v1alpha1.ReasonNotFound, "a")
	b.pass()
	token := b.ask("one")
	reported := false
	b.refuse = func(o client.Object) error {
		if _, ok := o.(*v1alpha1.Data); ok && !reported {
			reported = true
			d := b.datas()["a"]
			d.Status.DataItemsStatus[0].Message = "again"
			return b.client.Status().Update(t.Context(), d)
		}
		return nil
	}
	if err := b.attempt(); err != nil {
		t.Fatal(err)
	}
	if got := b.tokens(); !reported || got["a"] != token {
		t.Errorf("tokens: %v", got)
	}
}
