// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func woken(s *Subscription) bool {
	select {
	case <-s.Woken():
		return true
	default:
		return false
	}
}

func TestASlowStreamDoesNotDelayTheOthers(t *testing.T) {
	h := New()
	slow, quick := h.Subscribe("shop", "slow"), h.Subscribe("shop", "quick")
	for range 1000 {
		h.Wake("slow")
		h.Wake("quick")
		if !woken(quick) {
			t.Fatal("the quick stream was not woken")
		}
	}
	if !woken(slow) || woken(slow) {
		t.Error("wake-ups piled up behind the slow stream, or were lost")
	}
}

func TestAChangeWakesOnlyThePodsItConcerns(t *testing.T) {
	h := New()
	a, b, c := h.Subscribe("shop", "a"), h.Subscribe("shop", "b"), h.Subscribe("bank", "c")
	h.Wake("a")
	if !woken(a) || woken(b) || woken(c) {
		t.Error("Wake(a) woke other streams")
	}
	h.WakeNamespace("shop")
	if !woken(a) || !woken(b) || woken(c) {
		t.Error("WakeNamespace(shop) did not wake exactly its streams")
	}
	h.WakeAll()
	if !woken(a) || !woken(b) || !woken(c) {
		t.Error("WakeAll left a stream out")
	}
}

func TestADataSetWakesTheStreamsThatAskAboutIt(t *testing.T) {
	h := New()
	a, b, c := h.Subscribe("shop", "a"), h.Subscribe("shop", "b"), h.Subscribe("bank", "c")
	if !a.About([]string{"models", "indexes"}) || a.About([]string{"models"}) {
		t.Error("it is not told what is new to the stream")
	}
	b.About([]string{"indexes"})
	c.About([]string{"models"})
	h.WakeDataSet(types.NamespacedName{Namespace: "shop", Name: "models"})
	if !woken(a) || woken(b) || woken(c) {
		t.Error("the DataSet did not wake exactly its streams")
	}
	if len(a.about) != 2 {
		t.Errorf("noted %v", a.about)
	}
	for _, s := range []*Subscription{a, b, c} {
		s.Close()
	}
	if len(h.dataSets) != 0 {
		t.Errorf("kept %v", h.dataSets)
	}
}

func TestAPodKeepsOnlyItsNewestStreams(t *testing.T) {
	h := New()
	var open []*Subscription
	for range 5 {
		open = append(open, h.Subscribe("shop", "a"))
	}
	if n := h.Open(); n != maxPerPod {
		t.Errorf("%d streams are open, want %d", n, maxPerPod)
	}
	for i, s := range open {
		select {
		case <-s.Ended():
			if i >= len(open)-maxPerPod {
				t.Errorf("stream %d was ended", i)
			}
		default:
			if i < len(open)-maxPerPod {
				t.Errorf("stream %d is open", i)
			}
		}
	}
}

func TestClosedStreamsAreRemoved(t *testing.T) {
	h := New()
	var wait sync.WaitGroup
	for i := range 50 {
		wait.Go(func() {
			s := h.Subscribe("shop", types.UID(rune('a'+i%10)))
			h.WakeAll()
			s.Close()
			s.Close()
		})
	}
	wait.Wait()
	if len(h.pods) != 0 || len(h.namespaces) != 0 {
		t.Errorf("left: %v, %v", h.pods, h.namespaces)
	}
}

func TestOnlyThoseWhoReportConnectAgain(t *testing.T) {
	h := New()
	again := func(s *Subscription) bool {
		select {
		case <-s.Again():
			return true
		default:
			return false
		}
	}
	reporter, other, elsewhere := h.Subscribe("shop", "a"), h.Subscribe("shop", "b"), h.Subscribe("shop", "c")
	gone := h.Subscribe("shop", "d")
	for range 2 {
		h.Reports("a", "n1")
		h.Reports("c", "n2")
		h.Reports("d", "n1")
	}
	h.Reports("unknown", "n1")
	gone.Close()
	h.Reconnect("n1")
	h.Reconnect("n1")
	if !again(reporter) || again(other) || again(elsewhere) || again(gone) {
		t.Errorf("asked to connect again: %v %v %v %v", again(reporter), again(other), again(elsewhere), again(gone))
	}
	for _, s := range []*Subscription{reporter, other, elsewhere} {
		s.Close()
	}
	if len(h.reporters) != 0 {
		t.Errorf("kept of streams that ended: %v", h.reporters)
	}
}

func TestAStreamIsWokenForFurtherNamespaces(t *testing.T) {
	h := New()
	s := h.Subscribe("kuda-node", "keeper")
	s.Also([]string{"shop", "lab"})
	h.WakeNamespace("shop")
	select {
	case <-s.Woken():
	default:
		t.Error("a change of a further namespace does not wake the stream")
	}
	s.Close()
	if len(h.namespaces) != 0 {
		t.Errorf("left after the end: %v", h.namespaces)
	}
}
