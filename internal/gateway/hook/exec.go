// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kuda-io/kuda/internal/containerexec"
)

// Result is the outcome of a command that ran.
type Result struct {
	ExitCode int32
	// Output is the end of stdout and stderr together.
	Output string
}

// Executor runs commands in containers through the API server.
type Executor struct{ containers *containerexec.Executor }

// NewExecutor makes an executor.
func NewExecutor(config *rest.Config) (*Executor, error) {
	containers, err := containerexec.New(config)
	if err != nil {
		return nil, err
	}
	return &Executor{containers: containers}, nil
}

// Run runs the command. An error means that it did not run to its end; a
// command that failed is a Result. What the API server refuses has its
// apierrors.StatusError, and a container that does not run ErrNotRunning.
func (e *Executor) Run(ctx context.Context, pod types.NamespacedName, container string, command []string) (Result, error) {
	var output tail
	err := e.containers.Run(ctx, pod, container, command, remotecommand.StreamOptions{Stdout: &output, Stderr: &output})
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return Result{Output: output.String()}, nil
	case errors.As(err, &exit):
		return Result{ExitCode: int32(exit.Code), Output: output.String()}, nil
	}
	if isNotRunning(err) {
		err = fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return Result{Output: output.String()}, fmt.Errorf("running the hook in container %s of pod %s: %w", container, pod.Name, err)
}

// notRunning are the words of the kubelet and of container runtimes for a
// container that is created and not yet started, or has just ended. They have
// no other sign for it, and the pod's status is behind by then.
var notRunning = []string{
	"container not found",
	"container is not running",
	"container is not created or running",
	"container is in CONTAINER_EXITED state",
	"container is in CONTAINER_CREATED state",
	"cannot exec in a stopped",
	"cannot exec in a deleted",
}

func isNotRunning(err error) bool {
	return slices.ContainsFunc(notRunning, func(words string) bool { return strings.Contains(err.Error(), words) })
}
