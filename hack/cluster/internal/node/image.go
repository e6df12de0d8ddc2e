// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/process"
	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

// Ctr runs containerd's own client inside the node and returns what it prints.
func (h Host) Ctr(ctx context.Context, n topology.Node, stdin *os.File, args ...string) (string, error) {
	argv := append([]string{filepath.Join(h.Tools.Bin(), "ctr"), "--namespace", "k8s.io"}, args...)
	cmd, err := h.command(ctx, n, argv)
	if err != nil {
		return "", err
	}
	if stdin != nil {
		cmd.Stdin = stdin
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ctr %s on %s: %w: %s", args[0], n.Name(), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// command is a command that runs inside the node and ends with its context.
func (h Host) command(ctx context.Context, n topology.Node, argv []string) (*exec.Cmd, error) {
	place, err := h.Place(n)
	if err != nil {
		return nil, err
	}
	return process.Command(ctx, place, argv, process.Environment(h.Tools.Bin()))
}

// Load imports the image archive at path into the node.
func (h Host) Load(ctx context.Context, n topology.Node, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("loading image: %w", err)
	}
	defer f.Close()
	// By standard input: the node does not see every directory of the machine.
	if _, err := h.Ctr(ctx, n, f, "images", "import", "--local", "--platform", "linux/amd64", "-"); err != nil {
		return fmt.Errorf("loading image %s: %w", path, err)
	}
	return nil
}

// Images returns the names of the images the node has.
func (h Host) Images(ctx context.Context, n topology.Node) ([]string, error) {
	out, err := h.Ctr(ctx, n, nil, "images", "list", "--quiet")
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}
	var names []string
	for _, name := range strings.Fields(out) {
		// The kubelet's own names for the same images, by digest, tell nothing new.
		if !strings.HasPrefix(name, "sha256:") {
			names = append(names, name)
		}
	}
	return names, nil
}

// loadMissing loads those of the toolset's images that the node has not got.
func (h Host) loadMissing(ctx context.Context, n topology.Node) error {
	archives, err := filepath.Glob(filepath.Join(h.Tools.Images(), "*.tar"))
	if err != nil {
		return fmt.Errorf("loading images: %w", err)
	}
	// Which of them the node has is remembered beside them on its disk.
	mark := filepath.Join(h.State.Node(n).VarLib(), ".kuda-images.json")
	var loaded []string
	if body, err := os.ReadFile(mark); err == nil {
		_ = json.Unmarshal(body, &loaded)
	}
	if strings.Join(loaded, "\n") == strings.Join(archives, "\n") {
		return nil
	}
	for _, a := range archives {
		if err := h.Load(ctx, n, a); err != nil {
			return err
		}
	}
	body, err := json.Marshal(archives)
	if err != nil {
		return fmt.Errorf("loading images: %w", err)
	}
	return os.WriteFile(mark, body, 0o644)
}
