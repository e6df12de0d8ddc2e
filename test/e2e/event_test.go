// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// TestEventsCarryTheEndOfALongHookOutput rolls out a hook that prints 3 KiB and fails.
// The API server refuses events with more than 1 KiB: each that has the output is
// there, cut.
func TestEventsCarryTheEndOfALongHookOutput(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "loud", 2, nil)
	output := strings.Repeat("坏", 1024) // of three bytes each
	f.edit(t, "v2", func(spec *v1alpha1.DataSetSpec) {
		spec.Template.DataItems[0].Lifecycle = &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"/e2e-app", "fail", output}}}}
	})
	f.waitPhase(t, v1alpha1.RolloutStopped, 3*time.Minute)
	for _, want := range []struct{ kind, reason string }{
		{"DataSet", v1alpha1.EventPodFailed},
		{"Pod", v1alpha1.EventPodFailed},
		{"DataSet", v1alpha1.EventRolloutStopped},
		{"Pod", v1alpha1.EventItemFailed},
	} {
		eventually(t, time.Minute, func(context.Context) error {
			messages, err := eventMessages(f.ns, want.kind, want.reason)
			if err != nil {
				return err
			}
			for _, m := range messages {
				if len(m) <= 1024 && utf8.ValidString(m) && strings.Contains(m, strings.Repeat("坏", 100)) && strings.HasSuffix(m, "…") {
					return nil
				}
			}
			return fmt.Errorf("no event %s of a %s has the output, cut to 1 KiB: %q", want.reason, want.kind, messages)
		})
		if table := kubectl(t, "-n", f.ns, "get", "events"); !strings.Contains(table, want.reason) {
			t.Errorf("kubectl get events does not show %s:\n%s", want.reason, table)
		}
	}
}

// eventMessages returns the messages of a namespace's events with a reason about
// objects of a kind, as kubectl reads them.
func eventMessages(namespace, kind, reason string) ([]string, error) {
	out, err := tryKubectl("-n", namespace, "get", "events", "-o", "json",
		"--field-selector", "reason="+reason+",involvedObject.kind="+kind)
	if err != nil {
		return nil, err
	}
	var list corev1.EventList
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	messages := make([]string, 0, len(list.Items))
	for _, e := range list.Items {
		messages = append(messages, e.Message)
	}
	return messages, nil
}
