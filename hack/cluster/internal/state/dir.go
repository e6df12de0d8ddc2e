// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kuda-io/kuda/hack/cluster/internal/topology"
)

const (
	envRoot     = "KUDA_CLUSTER_STATE"
	defaultRoot = "/var/lib/kuda-dev"
)

// Dir is the state directory of the cluster.
type Dir struct{ root string }

// FromEnvironment returns the directory named by KUDA_CLUSTER_STATE, or the
// usual one. It need not exist.
func FromEnvironment() (Dir, error) {
	root := os.Getenv(envRoot)
	if root == "" {
		root = defaultRoot
	}
	return At(root)
}

// At returns the state directory at root.
func At(root string) (Dir, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return Dir{}, fmt.Errorf("finding the state directory: %w", err)
	}
	if abs == "/" || strings.Count(abs, "/") < 2 {
		return Dir{}, fmt.Errorf("%s cannot be the state directory: set %s to a directory of its own", abs, envRoot)
	}
	if within(abs, "/run") || within(abs, "/var/run") {
		return Dir{}, fmt.Errorf("%s cannot be the state directory: /run is emptied by a reboot and private to each node; choose another %s", abs,
			envRoot)
	}
	return Dir{root: abs}, nil
}

// Root is the directory itself.
func (d Dir) Root() string { return d.root }

// PKI holds certificates and keys.
func (d Dir) PKI() string { return filepath.Join(d.root, "pki") }

// Kubeconfig is the administrator's.
func (d Dir) Kubeconfig() string { return filepath.Join(d.root, "admin.kubeconfig") }

// Etcd holds etcd's data.
func (d Dir) Etcd() string { return filepath.Join(d.root, "etcd") }

// Minio holds MinIO's data.
func (d Dir) Minio() string { return filepath.Join(d.root, "minio") }

// Processes holds one file for each process that was started.
func (d Dir) Processes() string { return filepath.Join(d.root, "processes") }

// KubectlCache keeps discovery documents out of the user's home.
func (d Dir) KubectlCache() string { return filepath.Join(d.root, "kubectl-cache") }

// Log is the log file of the process called name.
func (d Dir) Log(name string) string { return filepath.Join(d.Logs(), name+".log") }

// Logs holds all log files.
func (d Dir) Logs() string { return filepath.Join(d.root, "logs") }

// Node is the disk and the configuration of one node.
func (d Dir) Node(n topology.Node) NodeDir {
	return NodeDir{root: filepath.Join(d.root, "nodes", n.Name())}
}

// NodeDir is one node's part of the state directory.
type NodeDir struct{ root string }

// Etc holds what is written anew at each start: configuration and keys.
func (n NodeDir) Etc() string { return filepath.Join(n.root, "etc") }

// VarLib is what the node sees as /var/lib: images, pods, and Kuda's stores.
func (n NodeDir) VarLib() string { return filepath.Join(n.root, "var-lib") }

// VarLog is what the node sees as /var/log.
func (n NodeDir) VarLog() string { return filepath.Join(n.root, "var-log") }

// Kuda is the node's private /var/lib/kuda.
func (n NodeDir) Kuda() string { return filepath.Join(n.VarLib(), "kuda") }

// Create makes the directory, or accepts it when it is empty or already ours.
func (d Dir) Create() error {
	entries, err := os.ReadDir(d.root)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("opening the state directory: %w", err)
	case len(entries) > 0 && !d.Ours():
		return fmt.Errorf("%s has files that are not the cluster's: choose another directory with %s", d.root, envRoot)
	}
	for _, sub := range []string{"", "logs", "processes"} {
		if err := os.MkdirAll(filepath.Join(d.root, sub), 0o755); err != nil {
			return fmt.Errorf("creating the state directory: %w", err)
		}
	}
	// Keys, and what is on disks.
	for _, private := range []string{d.PKI(), d.Etcd(), d.Minio(), filepath.Join(d.root, "nodes")} {
		if err := os.MkdirAll(private, 0o700); err != nil {
			return fmt.Errorf("creating the state directory: %w", err)
		}
	}
	return nil
}

// Ours reports whether the directory bears the cluster's record.
func (d Dir) Ours() bool {
	_, err := os.Lstat(d.recordPath())
	return err == nil
}

// Remove deletes the directory. It refuses one that is not ours.
func (d Dir) Remove() error {
	if _, err := os.Lstat(d.root); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if !d.Ours() {
		return fmt.Errorf("%s was left alone: it does not look like a cluster's state", d.root)
	}
	// The record goes last: were this to stop half-way, the next attempt still
	// knows the directory for ours.
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return fmt.Errorf("removing the state directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() == recordName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(d.root, e.Name())); err != nil {
			return fmt.Errorf("removing the state directory: %w", err)
		}
	}
	if err := os.RemoveAll(d.root); err != nil {
		return fmt.Errorf("removing the state directory: %w", err)
	}
	return nil
}

func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}
