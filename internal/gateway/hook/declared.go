// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// What keeps a hook from running.
var (
	// ErrNotDeclared: the Data has no such exec hook.
	ErrNotDeclared = errors.New("no such exec hook is declared")
	// ErrNoContainer: the pod has no such container, or it is not the application's.
	ErrNoContainer = errors.New("exec hooks cannot run in this container")
	// ErrNotRunning: the container does not run now. Asking again can help.
	ErrNotRunning = errors.New("the container does not run")
)

// Declared is an exec hook as the Data declares it.
type Declared struct {
	Command []string
	// Container; empty: the pod's first.
	Container string
}

// Find looks up the hook that the request speaks of.
func Find(spec v1alpha1.DataSpec, r *gatewayv1alpha1.RunHookRequest) (Declared, error) {
	lifecycle, container, what := spec.Lifecycle, "", "the DataSet"
	if r.GetItemNamespace() != "" || r.GetItemName() != "" {
		what = fmt.Sprintf("item %s/%s", r.GetItemNamespace(), r.GetItemName())
		lifecycle = nil
		for i := range spec.DataItems {
			if item := &spec.DataItems[i]; item.Namespace == r.GetItemNamespace() && item.Name == r.GetItemName() {
				lifecycle, container = item.Lifecycle, item.Container
			}
		}
	}
	handler := handlerAt(lifecycle, r.GetPoint())
	if handler == nil || handler.Exec == nil || len(handler.Exec.Command) == 0 {
		return Declared{}, fmt.Errorf("%w for %s at %s", ErrNotDeclared, what, r.GetPoint())
	}
	return Declared{Command: handler.Exec.Command, Container: container}, nil
}

func handlerAt(l *v1alpha1.Lifecycle, point gatewayv1alpha1.HookPoint) *v1alpha1.LifecycleHandler {
	if l == nil {
		return nil
	}
	switch point {
	case gatewayv1alpha1.HookPoint_HOOK_POINT_PRE_DOWNLOAD:
		return l.PreDownload
	case gatewayv1alpha1.HookPoint_HOOK_POINT_POST_DOWNLOAD:
		return l.PostDownload
	default:
		return nil
	}
}
