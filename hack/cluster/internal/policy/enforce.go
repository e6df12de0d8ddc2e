// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// retryAfter is how long a table that could not be replaced is left as it is.
const retryAfter = time.Second

// Options say where policies are enforced.
type Options struct {
	// Kubeconfig is the path of a file that names the API server and a user who
	// may list and watch policies, namespaces and pods.
	Kubeconfig string
	// Node is the node's name in Kubernetes; the process runs in its network.
	Node string
	// PodCIDR covers the addresses of all pods.
	PodCIDR string
	// Log gets a line for each table that was put in force, and for each failure.
	Log io.Writer
}

// Enforce keeps the node's table as the policies say until the context ends. The
// last table stays in force after that.
func Enforce(ctx context.Context, o Options) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	w, err := newWatcher(config)
	if err != nil {
		return err
	}
	if err := w.start(ctx, o.Log); err != nil {
		return err
	}
	var inForce string
	for {
		again := (<-chan time.Time)(nil)
		rules, err := Rules(w.cluster(o.PodCIDR), o.Node)
		if err == nil && rules != inForce {
			if err = apply(ctx, rules); err == nil {
				inForce = rules
				fmt.Fprintf(o.Log, "%s put in force: %d chains\n", now(), strings.Count(rules, "\tchain "))
			}
		}
		if err != nil {
			fmt.Fprintf(o.Log, "%s %v\n", now(), err)
			again = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
		case <-again:
		}
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// apply replaces the table in one transaction.
func apply(ctx context.Context, rules string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("replacing the table: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
