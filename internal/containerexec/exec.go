// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package containerexec

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
)

// Executor runs commands with the rights of its configuration.
type Executor struct {
	config *rest.Config
	client rest.Interface
}

// New makes an executor.
func New(config *rest.Config) (*Executor, error) {
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

// Run runs a command to its end, with those streams that are not nil. What the
// API server refuses is its apierrors.StatusError, and a command that ran and
// failed a CodeExitError of k8s.io/client-go/util/exec.
func (e *Executor) Run(ctx context.Context, pod types.NamespacedName, container string, command []string,
	streams remotecommand.StreamOptions) error {
	url := e.client.Get().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: command,
			Stdin: streams.Stdin != nil, Stdout: streams.Stdout != nil, Stderr: streams.Stderr != nil,
		}, scheme.ParameterCodec).URL()
	websocket, err := remotecommand.NewWebSocketExecutor(e.config, http.MethodGet, url.String())
	if err != nil {
		return fmt.Errorf("preparing exec: %w", err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(e.config, http.MethodPost, url)
	if err != nil {
		return fmt.Errorf("preparing exec: %w", err)
	}
	stream, err := remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return serverRefusal(err) == nil && (httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err))
	})
	if err != nil {
		return fmt.Errorf("preparing exec: %w", err)
	}
	err = stream.StreamWithContext(ctx, streams)
	if status := serverRefusal(err); status != nil {
		return status
	}
	return err
}

// serverRefusal returns what the API server itself said instead of switching the
// protocol, or nil. It would say the same over any other protocol.
func serverRefusal(err error) *apierrors.StatusError {
	if upgrade, ok := errors.AsType[*httpstream.UpgradeFailureError](err); ok {
		// Text with a colon, which is what proxies send, is read as an empty Status.
		if status, ok := errors.AsType[*apierrors.StatusError](upgrade.Cause); ok && status.ErrStatus.Status == metav1.StatusFailure {
			return status
		}
	}
	return nil
}
