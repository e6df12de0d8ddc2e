// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/hub"
)

func TestANewDataSetWakesNoStreamThatItDoesNotConcern(t *testing.T) {
	h := hub.New()
	concerned, other, elsewhere := h.Subscribe("shop", "a"), h.Subscribe("shop", "b"), h.Subscribe("bank", "c")
	concerned.About([]string{"models"})
	handler := onDataSet(h)
	plain := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "models", UID: "1"}}
	preheating := plain.DeepCopy()
	preheating.Spec.Preheat = &v1alpha1.Preheat{}
	selecting := plain.DeepCopy()
	selecting.Spec.WorkloadSelector = map[string]string{"app": "web"}
	for name, c := range map[string]struct {
		event func()
		all   bool
	}{
		"made":                {func() { handler.OnAdd(plain, false) }, false},
		"made, and preheats":  {func() { handler.OnAdd(preheating, false) }, true},
		"deleted":             {func() { handler.OnDelete(plain) }, false},
		"selects others":      {func() { handler.OnUpdate(plain, selecting) }, false},
		"begins to preheat":   {func() { handler.OnUpdate(plain, preheating) }, true},
		"preheats no longer":  {func() { handler.OnUpdate(preheating, plain) }, true},
		"deleted, preheating": {func() { handler.OnDelete(preheating) }, true},
	} {
		c.event()
		if isWoken(other) != c.all || isWoken(elsewhere) {
			t.Errorf("%s: woke the wrong streams", name)
		}
		if !isWoken(concerned) {
			t.Errorf("%s: did not wake the stream that asks about it", name)
		}
	}
	handler.OnUpdate(plain, plain.DeepCopy())
	if isWoken(concerned) {
		t.Error("what changed nothing woke a stream")
	}
}

func isWoken(s *hub.Subscription) bool {
	select {
	case <-s.Woken():
		return true
	default:
		return false
	}
}
