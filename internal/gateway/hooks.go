// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/gateway/door"
	"github.com/kuda-io/kuda/internal/gateway/hook"
	"github.com/kuda-io/kuda/internal/gateway/identity"
	"github.com/kuda-io/kuda/internal/gateway/share"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

var (
	errHooksOff     = errors.New("exec hooks are switched off in this installation (kuda-manager --exec-hooks=false); use an httpGet hook")
	errMayNotExec   = errors.New("the manager may not exec")
	errOtherPlan    = errors.New("the revision is no longer the one to have; the hook declared now may be another")
	errPodGone      = errors.New("the pod is gone")
	errHookTimedOut = fmt.Errorf("the hook did not end within %s", hookTimeout)
)

// Executor runs a command in a container.
type Executor interface {
	Run(ctx context.Context, pod types.NamespacedName, container string, command []string) (hook.Result, error)
}

// hookRunner runs exec hooks.
type hookRunner struct {
	live client.Reader
	// executor is nil when exec hooks are switched off.
	executor Executor
	// output shows what hooks print.
	output bool
	slots  *share.Pool
}

func newHookRunner(live client.Reader, executor Executor, output bool) *hookRunner {
	return &hookRunner{live: live, executor: executor, output: output, slots: share.New(hookSlots)}
}

func (h *hookRunner) runHook(ctx context.Context, d *v1alpha1.Data, caller identity.Pod,
	r *gatewayv1alpha1.RunHookRequest) (*gatewayv1alpha1.RunHookResponse, error) {
	if h.executor == nil {
		return nil, connect.NewError(connect.CodePermissionDenied, errHooksOff)
	}
	if d.Spec.Revision != r.GetRevision() {
		return nil, connect.NewError(connect.CodeAborted, errOtherPlan)
	}
	declared, err := hook.Find(d.Spec, r)
	if err != nil {
		return nil, connect.NewError(connect.CodeNotFound, err)
	}
	slot, err := h.slots.Acquire(ctx, door.Owner(caller), 1)
	if err != nil {
		return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("running a hook: %w", err))
	}
	defer slot.Release()
	key := types.NamespacedName{Namespace: caller.Namespace, Name: caller.Name}
	var p corev1.Pod
	switch err := h.live.Get(ctx, key, &p); {
	case apierrors.IsNotFound(err), err == nil && p.UID != caller.UID:
		return nil, connect.NewError(connect.CodeNotFound, errPodGone)
	case err != nil:
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("reading the pod: %w", err))
	}
	container, err := hook.Container(&p, declared)
	switch {
	case errors.Is(err, hook.ErrNotRunning):
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	case err != nil:
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	return h.executeCommand(ctx, key, container, declared.Command)
}

func (h *hookRunner) executeCommand(ctx context.Context, pod types.NamespacedName, container string,
	command []string) (*gatewayv1alpha1.RunHookResponse, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, hookTimeout, errHookTimedOut)
	defer cancel()
	result, err := h.executor.Run(ctx, pod, container, command)
	if !h.output {
		result.Output = ""
	}
	switch {
	case err == nil:
		return &gatewayv1alpha1.RunHookResponse{ExitCode: result.ExitCode, Output: result.Output}, nil
	case errors.Is(context.Cause(ctx), errHookTimedOut):
		if result.Output == "" {
			return nil, connect.NewError(connect.CodeDeadlineExceeded, errHookTimedOut)
		}
		return nil, connect.NewError(connect.CodeDeadlineExceeded, fmt.Errorf("%w; its output ended with: %s", errHookTimedOut, result.Output))
	case apierrors.IsForbidden(err):
		return nil, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%w: %w; see docs/operations.md", errMayNotExec, err))
	case errors.Is(err, hook.ErrNotRunning):
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	default:
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
}
