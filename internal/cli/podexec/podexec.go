// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
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

	"github.com/kuda-io/kuda/internal/sidecar"
)

// What a runtime may answer. Trees of a million files are summed up by the
// runtime; this bounds one that is not what it says.
const (
	maxAnswer    = 256 << 20
	maxComplaint = 4 << 10
)

// binary is the runtime's own, the entrypoint of its image.
const binary = "/kuda-runtime"

// Runner runs kuda-runtime in a pod's runtime container.
type Runner interface {
	// Run answers what the command printed. An *ExitError says that it ran and
	// failed; what the API server refuses is an apierrors.StatusError.
	Run(ctx context.Context, pod types.NamespacedName, args []string, stdin []byte) ([]byte, error)
}

// ExitError is a command that ran and failed.
type ExitError struct {
	Code int
	// Complaint is the end of what it wrote to stderr.
	Complaint string
}

func (e *ExitError) Error() string {
	if strings.Contains(e.Complaint, "unknown command") || strings.Contains(e.Complaint, "unknown flag") {
		return "the pod's runtime is older than this command; restart the pod to give it the installation's"
	}
	if e.Complaint == "" {
		return fmt.Sprintf("kuda-runtime ended with exit code %d", e.Code)
	}
	return e.Complaint
}

// Cluster runs commands through the API server.
type Cluster struct {
	config *rest.Config
	client rest.Interface
}

// New makes a runner for a cluster.
func New(config *rest.Config) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.APIPath = "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for exec: %w", err)
	}
	return &Cluster{config: config, client: client}, nil
}

// Run implements Runner: over a websocket, or over SPDY where the API server or
// something before it does not pass one.
func (c *Cluster) Run(ctx context.Context, pod types.NamespacedName, args []string, stdin []byte) ([]byte, error) {
	url := c.client.Get().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: sidecar.ContainerName, Command: append([]string{binary}, args...),
			Stdin: stdin != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	websocket, err := remotecommand.NewWebSocketExecutor(c.config, http.MethodGet, url.String())
	if err != nil {
		return nil, fmt.Errorf("preparing exec: %w", err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, url)
	if err != nil {
		return nil, fmt.Errorf("preparing exec: %w", err)
	}
	stream, err := remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return refusal(err) == nil && (httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err))
	})
	if err != nil {
		return nil, fmt.Errorf("preparing exec: %w", err)
	}
	out, complaint := &bounded{most: maxAnswer}, &bounded{most: maxComplaint, cut: true}
	options := remotecommand.StreamOptions{Stdout: out, Stderr: complaint}
	if stdin != nil {
		options.Stdin = bytes.NewReader(stdin)
	}
	if err := stream.StreamWithContext(ctx, options); err != nil {
		return nil, failure(err, pod, complaint.String())
	}
	return out.Bytes(), nil
}

func failure(err error, pod types.NamespacedName, complaint string) error {
	var exit exec.CodeExitError
	if errors.As(err, &exit) {
		complaint = strings.TrimPrefix(strings.Join(strings.Fields(complaint), " "), "kuda-runtime: ")
		return fmt.Errorf("asking pod %s: %w", pod.Name, &ExitError{Code: exit.Code, Complaint: complaint})
	}
	if status := refusal(err); status != nil {
		err = status
	}
	return fmt.Errorf("asking pod %s: %w", pod.Name, err)
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
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return status
	}
	return nil
}

// bounded keeps what is written up to a size; more is an error, or cut off.
type bounded struct {
	bytes.Buffer
	most int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.Len()
	if len(p) <= room {
		return b.Buffer.Write(p)
	}
	if !b.cut {
		return 0, fmt.Errorf("the answer has more than %d bytes", b.most)
	}
	b.Buffer.Write(p[:room])
	return len(p), nil
}
