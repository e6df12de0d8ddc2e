// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// model is one version of the model, whole, in memory.
type model struct {
	Version string  `json:"version"`
	Shards  []shard `json:"shards"`
}

type shard struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	data   []byte
}

func (m *model) totalBytes() int {
	n := 0
	for _, s := range m.Shards {
		n += len(s.data)
	}
	return n
}

// loadModel reads a model and checks every shard against the index. The directory
// is opened once and everything is read through it: should a new version be
// switched in meanwhile, this still reads one version, not a mixture.
func loadModel(dir string) (*model, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the model's directory: %w", err)
	}
	defer root.Close()
	index, err := readFile(root, "index.json")
	if err != nil {
		return nil, err
	}
	m := &model{}
	if err := json.Unmarshal(index, m); err != nil {
		return nil, fmt.Errorf("reading index.json: %w", err)
	}
	for i := range m.Shards {
		s := &m.Shards[i]
		if s.data, err = readFile(root, s.Path); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(s.data)
		if got := hex.EncodeToString(sum[:]); got != s.SHA256 {
			return nil, fmt.Errorf("shard %s of version %s has sha256 %s, the index says %s", s.Path, m.Version, got, s.SHA256)
		}
	}
	return m, nil
}

func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}
