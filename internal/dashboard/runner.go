// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/kuda-io/kuda/internal/insight/podexec"
)

// What pods may answer to one request of a user: a pod belongs to its tenant, and this server
// to all users. The memory that an answer takes once it is read grows with its parts.
const (
	maxAnswer = 4 << 20
	maxParts  = 1 << 17
	// asksAtOnce is how many requests may ask pods at the same time.
	asksAtOnce = 4
)

var errLongAnswer = errors.New("the answer of the pod is too long for this page; kubectl kuda shows it")

// boundedRunner asks pods for one request.
type boundedRunner struct {
	next podexec.Runner

	mu          sync.Mutex
	bytes, part int
}

func newBoundedRunner(next podexec.Runner) *boundedRunner {
	return &boundedRunner{next: next, bytes: maxAnswer, part: maxParts}
}

// Run implements podexec.Runner.
func (r *boundedRunner) Run(ctx context.Context, pod types.NamespacedName, args []string, stdin []byte) ([]byte, error) {
	out, err := r.next.Run(ctx, pod, args, stdin)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes -= len(out)
	// Each element of a list but one has a comma before it.
	r.part -= bytes.Count(out, []byte{','})
	if r.bytes < 0 || r.part < 0 {
		return nil, errLongAnswer
	}
	return out, nil
}

// connect makes what asks runtimes, with the caller's rights.
func (a ask) connect() (podexec.Runner, error) {
	c, err := podexec.Connect(func() (*rest.Config, error) { return a.caller.Config, nil })
	if err != nil {
		return nil, err
	}
	return newBoundedRunner(c.Within(maxAnswer)), nil
}
