// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const (
	notMounted = gatewayv1alpha1.MountState_MOUNT_STATE_NOT_MOUNTED
	empty      = gatewayv1alpha1.MountState_MOUNT_STATE_EMPTY
	noKey      = gatewayv1alpha1.MountState_MOUNT_STATE_NO_KEY
)

func withMounts(missing ...*gatewayv1alpha1.MissingMount) *gatewayv1alpha1.ReportRequest {
	r := newRequest(newItemStatus("a", success))
	r.Mounts = &gatewayv1alpha1.Mounts{Missing: missing}
	return r
}

func TestTheConditionSaysWhatAMountLacks(t *testing.T) {
	many := make([]*gatewayv1alpha1.MissingMount, 7)
	for i := range many {
		many[i] = &gatewayv1alpha1.MissingMount{Kind: "Secret", Name: "s" + string(rune('a'+i)), State: empty}
	}
	for name, c := range map[string]struct {
		missing []*gatewayv1alpha1.MissingMount
		says    []string
	}{
		"not mounted": {[]*gatewayv1alpha1.MissingMount{{Kind: "Secret", Name: "keys", State: notMounted}},
			[]string{"Secret keys is not mounted into this pod", "restart"}},
		"empty": {[]*gatewayv1alpha1.MissingMount{{Kind: "ConfigMap", Name: "cas", State: empty}},
			[]string{"ConfigMap cas is not there, or has not been mounted into this pod yet", "create it"}},
		"no key": {[]*gatewayv1alpha1.MissingMount{{Kind: "Secret", Name: "keys", State: noKey, Key: "accessKey"}},
			[]string{"Secret keys has no key accessKey"}},
		"two": {[]*gatewayv1alpha1.MissingMount{{Kind: "Secret", Name: "keys", State: empty}, {Kind: "Secret", Name: "more", State: empty}},
			[]string{"Secret keys is", "; Secret more is"}},
		"many":             {many, []string{"Secret se is", "; 2 more"}},
		"an unknown state": {[]*gatewayv1alpha1.MissingMount{{Kind: "Secret", Name: "keys", State: 99}}, []string{"Secret keys is incomplete"}},
		"a name that lies": {[]*gatewayv1alpha1.MissingMount{{Kind: "x", Name: "keys\x1b[0m", State: empty}}, []string{"a Secret is missing"}},
		"a key that lies": {[]*gatewayv1alpha1.MissingMount{{Kind: "Secret", Name: "keys", State: noKey, Key: "a/../b"}},
			[]string{"Secret keys is incomplete"}},
		"no name at all":    {[]*gatewayv1alpha1.MissingMount{{}}, []string{"a Secret is missing"}},
		"a long list of no": {[]*gatewayv1alpha1.MissingMount{{Name: strings.Repeat("a", 5000)}}, []string{"a Secret is missing"}},
	} {
		d := newData("a")
		s := Status(d, withMounts(c.missing...), "", now)
		got := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCredentialsAvailable)
		if got == nil || got.Status != metav1.ConditionFalse || got.Reason != v1alpha1.ReasonCredentialsMissing {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for _, text := range c.says {
			if !strings.Contains(got.Message, text) {
				t.Errorf("%s: %q does not say %q", name, got.Message, text)
			}
		}
		if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
			t.Errorf("%s: the bytes are there, yet Ready is %s", name, ready.Status)
		}
	}
}

func TestTheConditionIsThereOnlyWhereTheRuntimeSpeaksOfMounts(t *testing.T) {
	d := newData("a")
	d.Status = Status(d, withMounts(), "", now)
	if c := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionCredentialsAvailable); c == nil ||
		c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonCredentialsFound {
		t.Errorf("all is mounted: %+v", c)
	}
	lacking := Status(d, withMounts(&gatewayv1alpha1.MissingMount{Kind: "Secret", Name: "keys", State: empty}), "", now)
	if compareStatus(&d.Status, &lacking) != whole {
		t.Error("that a Secret went is not worth a write")
	}
	d.Status = Status(d, newRequest(newItemStatus("a", success)), "", now)
	if c := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionCredentialsAvailable); c != nil {
		t.Errorf("none is named: %+v", c)
	}
}
