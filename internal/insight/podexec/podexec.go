// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kuda-io/kuda/internal/containerexec"
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
	// Run returns what the command printed. An *ExitError says that it ran and
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
	containers *containerexec.Executor
	most       int
}

// Connect makes a runner for the cluster of a configuration.
func Connect(configuration func() (*rest.Config, error)) (*Cluster, error) {
	config, err := configuration()
	if err != nil {
		return nil, err
	}
	containers, err := containerexec.New(config)
	if err != nil {
		return nil, err
	}
	return &Cluster{containers: containers, most: maxAnswer}, nil
}

// Within returns the same with answers of at most so many bytes: for who asks on behalf of
// many.
func (c *Cluster) Within(most int) *Cluster { return &Cluster{containers: c.containers, most: most} }

// Run implements Runner.
func (c *Cluster) Run(ctx context.Context, pod types.NamespacedName, args []string, stdin []byte) ([]byte, error) {
	out, complaint := &bounded{most: c.most}, &bounded{most: maxComplaint, cut: true}
	options := remotecommand.StreamOptions{Stdout: out, Stderr: complaint}
	if stdin != nil {
		options.Stdin = bytes.NewReader(stdin)
	}
	if err := c.containers.Run(ctx, pod, sidecar.ContainerName, append([]string{binary}, args...), options); err != nil {
		return nil, execError(err, pod, complaint.String())
	}
	return out.Bytes(), nil
}

func execError(err error, pod types.NamespacedName, complaint string) error {
	var exit exec.CodeExitError
	if errors.As(err, &exit) {
		complaint = strings.TrimPrefix(strings.Join(strings.Fields(complaint), " "), "kuda-runtime: ")
		return fmt.Errorf("asking pod %s: %w", pod.Name, &ExitError{Code: exit.Code, Complaint: complaint})
	}
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		err = status
	}
	return fmt.Errorf("asking pod %s: %w", pod.Name, err)
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
