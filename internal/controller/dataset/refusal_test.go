// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

var errQuota = apierrors.NewForbidden(schema.GroupResource{Resource: "datas"}, "models-b",
	errors.New("exceeded quota: q, limited: count/datas.data.kuda.io=1"))

// attempt is a pass that may fail.
func (b *bench) attempt() error {
	b.t.Helper()
	_, err := b.Reconcile(b.t.Context(), ctrl.Request{NamespacedName: key})
	return err
}

// passRefused is a pass of which a write is refused. It is tried again.
func (b *bench) passRefused() {
	b.t.Helper()
	result, err := b.Reconcile(b.t.Context(), ctrl.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > lastRetry {
		b.t.Fatalf("the pass returned %v, %v", result, err)
	}
}

func (b *bench) count(event string) int {
	n := 0
	for _, e := range b.events {
		if e == event {
			n++
		}
	}
	return n
}

func refuseDataOf(pods ...string) func(client.Object) error {
	return func(o client.Object) error {
		d, ok := o.(*v1alpha1.Data)
		if !ok {
			return nil
		}
		for _, p := range pods {
			if d.Spec.PodName == p {
				return errQuota
			}
		}
		return nil
	}
}

func TestARefusedDataIsShownAndTheOthersAreCounted(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true), web("c", true))
	b.refuse = refuseDataOf("b", "c")
	b.passRefused()
	b.play(true)
	for range 3 {
		b.passRefused()
	}
	s := b.set().Status
	if s.Ready != "1/3" {
		t.Errorf("READY %s, want 1/3", s.Ready)
	}
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionProgressing} {
		c := meta.FindStatusCondition(s.Conditions, name)
		if c.Reason != v1alpha1.ReasonWriteRefused {
			t.Errorf("%s: %+v", name, c)
		}
		for _, want := range []string{"pod b", "Data models-b:", "exceeded quota: q"} {
			if !strings.Contains(c.Message, want) {
				t.Errorf("%s: no %q in %s", name, want, c.Message)
			}
		}
	}
	if n := b.count(v1alpha1.EventWriteRefused); n != 1 {
		t.Errorf("%d events, want 1: %v", n, b.events)
	}
	b.writes = nil
	_ = b.attempt()
	for _, w := range b.writes {
		if strings.HasPrefix(w, "status") {
			t.Errorf("an unchanged refusal is written again: %v", b.writes)
		}
	}
	b.refuse = nil
	b.pass()
	b.play(true)
	b.pass()
	if s := b.set().Status; s.Ready != "3/3" || meta.FindStatusCondition(s.Conditions,
		v1alpha1.ConditionProgressing).Reason != v1alpha1.ReasonDelivered {
		t.Errorf("after the quota was raised: %+v", s)
	}
}

// A rollout of which one move is refused goes on with the other pods.
func TestARefusedMoveIsShown(t *testing.T) {
	b := newBench(t, models(), web("a", true), web("b", true))
	b.pass()
	b.play(true)
	b.pass()
	b.edit("v2")
	b.refuse = refuseDataOf("a")
	b.passRefused()
	c := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionProgressing)
	if c.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(c.Message, "pod a: updating Data") {
		t.Errorf("%+v", c)
	}
	if r := meta.FindStatusCondition(b.set().Status.Conditions, v1alpha1.ConditionInjected); r.ObservedGeneration != b.set().Generation {
		t.Errorf("the rest of the status speaks of an earlier spec: %+v", r)
	}
}

// What is refused before there is a plan is shown too, and delivered pods stay Ready.
func TestARefusedRevisionIsShown(t *testing.T) {
	b := newBench(t, models(), web("a", true))
	b.pass()
	b.play(true)
	b.pass()
	b.edit("v2")
	b.refuse = func(o client.Object) error {
		if _, ok := o.(*appsv1.ControllerRevision); ok {
			return errQuota
		}
		return nil
	}
	for range 2 {
		b.passRefused()
	}
	s := b.set().Status
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionProgressing)
	if c.Reason != v1alpha1.ReasonWriteRefused || !strings.Contains(c.Message, "ControllerRevision") || s.Ready != "1/1" {
		t.Errorf("%+v", s)
	}
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonWriteRefused || ready.Status != "False" {
		t.Errorf("%+v", ready)
	}
	if n := b.count(v1alpha1.EventWriteRefused); n != 1 {
		t.Errorf("%d events, want 1: %v", n, b.events)
	}
}

func TestOnlyLastingErrorsAreRefusals(t *testing.T) {
	things := schema.GroupResource{Resource: "things"}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"quota":            {errQuota, true},
		"a broken webhook": {apierrors.NewInternalError(errors.New("failed calling webhook")), true},
		"too large":        {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), true},
		"invalid":          {apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "create", things, "x", "", 0, true), true},
		"conflict":         {apierrors.NewConflict(things, "x", errors.New("changed")), false},
		"overload":         {apierrors.NewTooManyRequests("later", 1), false},
		"timeout":          {apierrors.NewServerTimeout(things, "create", 1), false},
		"no answer":        {errors.New("connection refused"), false},
	} {
		if got := isRefusal(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestARefusedWriteIsTriedAtTheMomentThatStallsTheDataSet(t *testing.T) {
	for refused, want := range map[time.Duration]time.Duration{
		0: firstRetry, 2 * time.Second: 2 * time.Second, 40 * time.Second: 20 * time.Second,
		refusalGrace - time.Millisecond: time.Millisecond, refusalGrace: lastRetry, time.Hour: lastRetry,
	} {
		if got := retryAfter(refused); got != want {
			t.Errorf("refused for %v: tried again after %v, want %v", refused, got, want)
		}
	}
}
