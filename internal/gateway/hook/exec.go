// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// Result is the outcome of a command that ran.
type Result struct {
	ExitCode int32
	// Output is the end of stdout and stderr together.
	Output string
}

// Executor runs commands in containers through the API server.
type Executor struct {
	config *rest.Config
	client rest.Interface
}

// NewExecutor makes an executor.
func NewExecutor(config *rest.Config) (*Executor, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.APIPath = "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for exec: %w", err)
	}
	return &Executor{config: config, client: client}, nil
}

// Run runs the command. An error means that it did not run to its end; a
// command that failed is a Result. What the API server refuses has its
// apierrors.StatusError, and a container that does not run ErrNotRunning.
func (e *Executor) Run(ctx context.Context, pod types.NamespacedName, container string, command []string) (Result, error) {
	url := e.client.Get().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	websocket, err := remotecommand.NewWebSocketExecutor(e.config, http.MethodGet, url.String())
	if err != nil {
		return Result{}, fmt.Errorf("preparing exec: %w", err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(e.config, http.MethodPost, url)
	if err != nil {
		return Result{}, fmt.Errorf("preparing exec: %w", err)
	}
	stream, err := remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return refusal(err) == nil && (httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err))
	})
	if err != nil {
		return Result{}, fmt.Errorf("preparing exec: %w", err)
	}
	var output tail
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &output, Stderr: &output})
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return Result{Output: output.String()}, nil
	case errors.As(err, &exit):
		return Result{ExitCode: int32(exit.Code), Output: output.String()}, nil
	}
	if status := refusal(err); status != nil {
		err = status
	} else if stopped(err) {
		err = fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return Result{Output: output.String()}, fmt.Errorf("running the hook in container %s of pod %s: %w", container, pod.Name, err)
}

// refusal answers what the API server itself said instead of switching the
// protocol, or nil. It would say the same over any other protocol.
func refusal(err error) *apierrors.StatusError {
	if upgrade, ok := errors.AsType[*httpstream.UpgradeFailureError](err); ok {
		// Text with a colon, which is what proxies send, is read as an empty Status.
		if status, ok := errors.AsType[*apierrors.StatusError](upgrade.Cause); ok && status.ErrStatus.Status == metav1.StatusFailure {
			return status
		}
	}
	return nil
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

func stopped(err error) bool {
	return slices.ContainsFunc(notRunning, func(words string) bool { return strings.Contains(err.Error(), words) })
}
