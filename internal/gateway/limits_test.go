// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuda-io/kuda/internal/gateway/identity"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestOnePodSendsItsVolumeOnly(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	v := newVolumes(now)
	hog, other := identity.Pod{Namespace: "hog", UID: "1"}, identity.Pod{Namespace: "shop", UID: "2"}
	sent := 0
	for ; v.Left(hog) && sent < 100; sent++ {
		v.Spend(hog, maxReportBytes)
	}
	if sent > podVolumeAtOnce/maxReportBytes+1 || !v.Left(other) {
		t.Errorf("%d of the largest reports were taken at once; another pod may send: %v", sent, v.Left(other))
	}
	now.SetTime(now.Now().Add(5 * time.Second))
	if !v.Left(hog) {
		t.Error("the pod may never send again")
	}
	for n := range 100 {
		v.Spend(identity.Pod{Namespace: "hog", UID: types.UID(rune('a' + n))}, podVolumeAtOnce)
	}
	if v.Left(identity.Pod{Namespace: "hog", UID: "fresh"}) || !v.Left(other) {
		t.Error("a namespace of many pods sends what it likes")
	}
}

// TestEveryListOfARequestHasALimit holds the table to the protocol.
func TestEveryListOfARequestHasALimit(t *testing.T) {
	var look func(protoreflect.MessageDescriptor)
	look = func(m protoreflect.MessageDescriptor) {
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Number() > 31 {
				t.Errorf("%s has a number above those that are counted", f.FullName())
			}
			if f.Cardinality() == protoreflect.Repeated && table[f.FullName()].Count == 0 {
				t.Errorf("%s has no limit, so every message with it is refused", f.FullName())
			}
			if f.Message() != nil {
				look(f.Message())
			}
		}
	}
	methods := gatewayv1alpha1.File_kuda_gateway_v1alpha1_gateway_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		look(methods.Get(i).Input())
	}
	for name := range table {
		if _, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err != nil {
			t.Errorf("the limit of %s is of no field: %v", name, err)
		}
	}
}
