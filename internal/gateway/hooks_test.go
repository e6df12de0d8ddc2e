// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/gateway/hook"
)

type brokenExecutor struct{ err error }

func (b brokenExecutor) Run(context.Context, types.NamespacedName, string, []string) (hook.Result, error) {
	return hook.Result{}, fmt.Errorf("running the hook: %w", b.err)
}

func TestTheErrorOfAHookSaysWhyItDidNotRun(t *testing.T) {
	forbidden := apierrors.NewForbidden(corev1.Resource("pods"), "web-0", errors.New("no right to pods/exec"))
	for name, c := range map[string]struct {
		err  error
		code connect.Code
		says []string
	}{
		"forbidden": {forbidden, connect.CodePermissionDenied,
			[]string{"the manager may not exec: ", "no right to pods/exec", "; see docs/operations.md"}},
		"container not started": {hook.ErrNotRunning, connect.CodeFailedPrecondition, []string{"does not run"}},
		"network":               {errors.New("connection reset"), connect.CodeUnavailable, []string{"connection reset"}},
	} {
		h := newHookRunner(nil, brokenExecutor{c.err}, true)
		_, err := h.executeCommand(t.Context(), types.NamespacedName{}, "app", []string{"true"})
		if connect.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want code %s", name, err, c.code)
			continue
		}
		for _, words := range c.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v does not say %q", name, err, words)
			}
		}
	}
}
