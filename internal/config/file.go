// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kuda-io/kuda/internal/mounted"
)

// File is a configuration that follows its file. It is safe for concurrent use.
type File struct {
	path         string
	defaultImage string
	log          logr.Logger
	valid        prometheus.Gauge

	mu      sync.RWMutex
	content []byte
	current Config
}

// Open reads the configuration; it fails when it is wrong.
func Open(path, defaultImage string, log logr.Logger) (*File, error) {
	f := &File{path: path, defaultImage: defaultImage, log: log, valid: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kuda_config_valid",
		Help: "1 when the configuration that is mounted is the one in force, 0 when it is wrong and an older one is.",
	})}
	if err := f.reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Current is the configuration in force.
func (f *File) Current() Config {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.current
}

// Collector reports whether the mounted configuration is in force.
func (f *File) Collector() prometheus.Collector { return f.valid }

// Start follows the file until the context ends. It is a manager.Runnable.
func (f *File) Start(ctx context.Context) error {
	return mounted.Watch(ctx, filepath.Dir(f.path), func() {
		if err := f.reload(); err != nil {
			f.log.Error(err, "kept the configuration that was in force; correct the ConfigMap")
		}
	})
}

// NeedLeaderElection reports whether only the leader follows the file: every replica does.
func (f *File) NeedLeaderElection() bool { return false }

func (f *File) reload() error {
	content, err := os.ReadFile(f.path)
	if err != nil {
		f.valid.Set(0)
		return fmt.Errorf("reading the configuration: %w", err)
	}
	f.mu.RLock()
	same := f.content != nil && bytes.Equal(content, f.content)
	f.mu.RUnlock()
	if same {
		f.valid.Set(1)
		return nil
	}
	c, err := Parse(content, f.defaultImage)
	if err != nil {
		f.valid.Set(0)
		return err
	}
	f.mu.Lock()
	f.content, f.current = content, c
	f.mu.Unlock()
	f.valid.Set(1)
	f.log.Info("took the configuration into force", "path", f.path)
	return nil
}
