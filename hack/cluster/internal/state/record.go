// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const recordName = "cluster.json"

// ErrNoCluster says that the state directory has no record.
var ErrNoCluster = errors.New("no cluster here: start one with 'kuda-cluster up'")

// Layout counts what later commands take for granted of a cluster: how it was
// started, and what it was given. A cluster of another count is made anew.
const Layout = 2

// Record is what later commands have to know of the cluster.
type Record struct {
	// Layout is the one the cluster was made by; those before it was counted have 0.
	Layout int `json:"layout"`
	// Nodes is how many nodes the cluster has.
	Nodes int `json:"nodes"`
	// BinDir holds the programs the cluster was started with.
	BinDir string `json:"binDir"`
	// Boot is the boot of the machine the cluster was started in. After another
	// boot its processes, links and cgroups no longer exist.
	Boot string `json:"boot"`
	// Created is when `up` began.
	Created time.Time `json:"created"`
	// NetnsDir says that the machine used named network namespaces before; else
	// teardown removes their directory as well.
	NetnsDir bool `json:"netnsDir"`
	// Sysctls are the machine's settings as they were before, by file below
	// /proc/sys. Teardown puts them back.
	Sysctls map[string]string `json:"sysctls,omitempty"`
}

func (d Dir) recordPath() string { return filepath.Join(d.root, recordName) }

// Load reads the record; the error is ErrNoCluster when there is none.
func (d Dir) Load() (Record, error) {
	var r Record
	body, err := os.ReadFile(d.recordPath())
	if errors.Is(err, os.ErrNotExist) {
		return r, ErrNoCluster
	}
	if err != nil {
		return r, fmt.Errorf("reading the cluster's record: %w", err)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("reading %s: %w; 'kuda-cluster down' removes it", d.recordPath(), err)
	}
	return r, nil
}

// Save writes the record, whole or not at all.
func (d Dir) Save(r Record) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the cluster's record: %w", err)
	}
	return WriteFile(d.recordPath(), append(body, '\n'), 0o644)
}

// WriteFile writes a file that is either there completely or not at all.
func WriteFile(path string, body []byte, mode os.FileMode) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, body, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// BootID names the current boot of the machine.
func BootID() string {
	body, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}
