// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// maxMissing is how many mounts a message speaks of.
const maxMissing = 5

// setCredentials says in the conditions what the pod has of the Secrets and ConfigMaps
// that its sources name. A runtime that says nothing of them has none to mount, or is
// older than the question.
func setCredentials(d *v1alpha1.Data, s *v1alpha1.DataStatus, m *gatewayv1alpha1.Mounts) {
	if m == nil || d.Spec.Withdraw {
		meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionCredentialsAvailable)
		return
	}
	c := metav1.Condition{
		Type: v1alpha1.ConditionCredentialsAvailable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCredentialsFound,
		ObservedGeneration: d.Generation, Message: "all Secrets and ConfigMaps that the sources name are mounted",
	}
	if missing := m.GetMissing(); len(missing) > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonCredentialsMissing
		c.Message = describeMissing(missing)
	}
	meta.SetStatusCondition(&s.Conditions, c)
}

func describeMissing(missing []*gatewayv1alpha1.MissingMount) string {
	var parts []string
	for _, m := range missing[:min(len(missing), maxMissing)] {
		parts = append(parts, describeMount(m))
	}
	if more := len(missing) - maxMissing; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, "; ")
}

// describeMount says which of its states a mount is in, and what to do. It does not repeat
// what no object can be called.
func describeMount(m *gatewayv1alpha1.MissingMount) string {
	kind := "Secret"
	if m.GetKind() == "ConfigMap" {
		kind = "ConfigMap"
	}
	name := sanitize.ObjectName(m.GetName())
	if name == "" {
		return "a " + kind + " is missing"
	}
	key := m.GetKey()
	if len(validation.IsConfigMapKey(key)) > 0 {
		key = ""
	}
	switch state := m.GetState(); {
	case state == gatewayv1alpha1.MountState_MOUNT_STATE_NOT_MOUNTED:
		return fmt.Sprintf("%s %s is not mounted into this pod, which was created before the DataSet named it: restart the pod's workload",
			kind, name)
	case state == gatewayv1alpha1.MountState_MOUNT_STATE_NO_KEY && key != "":
		return fmt.Sprintf("%s %s has no key %s: add it", kind, name, key)
	case state == gatewayv1alpha1.MountState_MOUNT_STATE_EMPTY:
		return fmt.Sprintf("%s %s is not there, or has not been mounted into this pod yet, which takes up to about two minutes: create it "+
			"if it is missing", kind, name)
	}
	return fmt.Sprintf("%s %s is incomplete", kind, name)
}
