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
	return request
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
	if got := b.set().Status.Rollout.Request; got != request {
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
	if got := b.set().Status.Rollout.Request; !refused || got == request {
		t.Fatalf("acknowledged although no pod was asked: %q", got)
	}
	b.restart()
	b.pass()
	if got := b.tokens(); got["a"] != request || b.set().Status.Rollout.Request != request {
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
