// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Names below the store's root.
const (
	// PodsDir has one directory per pod, named by its UID.
	PodsDir = "pods"
	// PreheatDir has a file for each DataSet that is preheated, "<name>.json".
	PreheatDir = "preheat"
	// LimitsDir is where the runtimes of a node share the connections to a source.
	LimitsDir = "limits"
)

// Names in a pod's directory.
const (
	LockFile   = "lock"
	OrphanFile = "orphaned"
	EndedFile  = "ended"
	// DatasetsDir and PrefetchDir have the records: of what is in the view, and of what
	// was fetched for later.
	DatasetsDir = "datasets"
	PrefetchDir = "prefetch"
	// RecordSuffix ends the name of a record.
	RecordSuffix = ".json"
	// DeadPrefix begins the name of the directory of a pod that is being removed.
	DeadPrefix = ".dead-"

	viewDir       = "view"
	scratchDir    = "scratch"
	desiredFile   = "desired.json"
	startsFile    = "starts"
	gatewayCAFile = "gateway-ca.pem"
)

// How long a pod is reckoned with when no runtime of it runs.
const (
	// RestartPause is how long it needs its snapshots. The kubelet waits up to five
	// minutes before it starts a container again that keeps failing.
	RestartPause = 15 * time.Minute
	// EndedAfter is how long its directory stays when its runtime was told to end: its
	// pod ends too, or the kubelet starts it again. Until then it needs its snapshots.
	EndedAfter = RestartPause + 5*time.Minute
	// DeadAfter is how long its directory stays else. It is far longer than the pauses
	// in which the kubelet restarts a container, because the application of a living
	// pod reads from there.
	DeadAfter = 6 * time.Hour
)

// Dir is a pod's own directory in a store.
type Dir string

// Of returns the directory of a pod in the store at root.
func Of(root, uid string) Dir { return Dir(filepath.Join(root, PodsDir, uid)) }

// View is the directory of the pod's view.
func (d Dir) View() string { return d.path(viewDir) }

// Scratch is the directory for what a source has to keep while it is read.
func (d Dir) Scratch() string { return d.path(scratchDir) }

// GatewayCA is the file with the certificates that the gateway was last checked against.
func (d Dir) GatewayCA() string { return d.path(gatewayCAFile) }

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

// Create makes the directories of the records where they are missing.
func (d Dir) Create() error {
	for _, name := range []string{DatasetsDir, PrefetchDir} {
		if err := os.MkdirAll(d.path(name), 0o755); err != nil {
			return fmt.Errorf("making the pod's directory: %w", err)
		}
	}
	return nil
}

// BootID changes when the machine starts.
func BootID() ([]byte, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("asking when the machine was started: %w", err)
	}
	return boot, nil
}
