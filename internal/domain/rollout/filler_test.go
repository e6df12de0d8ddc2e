// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// podOf returns the pod with a UID.
func (s *scene) podOf(uid types.UID) *Pod {
	for i := range s.Pods {
		if s.Pods[i].UID == uid {
			return &s.Pods[i]
		}
	}
	s.t.Fatalf("there is no pod %q", uid)
	return nil
}

func TestOnePodFillsTheCachesBeforeTheOthersPrefetch(t *testing.T) {
	s := newScene(t, "AAA-")
	s.State, s.Prefetch, s.FillCache = nil, true, true
	s.FailureThreshold = ptr(intstr.FromInt32(3))
	first := s.expect(v1alpha1.RolloutPrefetching, v1alpha1.ReasonPrefetching, nil)
	if first.Prefetch != "B" || first.Filler == "" {
		t.Fatalf("%+v", first)
	}
	if again := s.plan(); again.Filler != first.Filler {
		t.Errorf("another pod fills the caches: %s and %s", first.Filler, again.Filler)
	}
	filler := s.podOf(first.Filler)
	filler.PrefetchFailed, filler.PrefetchMessage = true, "NotFound"
	if next := s.plan(); next.Filler == "" || next.Filler == first.Filler {
		t.Errorf("after it failed, %q fills the caches", next.Filler)
	}
	filler.PrefetchFailed, filler.Prefetched = false, true
	if full := s.plan(); full.Filler != "" || full.Prefetch != "B" {
		t.Errorf("with full caches: %+v", full)
	}
	for i := range s.Pods {
		s.Pods[i].Prefetched = true
	}
	s.Pods = s.Pods[:3]
	if moving := s.expect(v1alpha1.RolloutProgressing, v1alpha1.ReasonDelivering, to("B", 1)); moving.Filler != "" {
		t.Errorf("%+v", moving)
	}
}

func TestAnAvailablePodFillsTheCachesFirst(t *testing.T) {
	s := newScene(t, "AA")
	s.State, s.Prefetch, s.FillCache = nil, true, true
	s.podOf(s.plan().Filler).Ready = false
	if p := s.podOf(s.plan().Filler); !p.Ready {
		t.Errorf("the pod %s, which is not Ready, fills the caches", p.Name)
	}
}
