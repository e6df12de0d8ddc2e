// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceiling

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Object is one file to receive.
type Object struct {
	// URL is http://host:port/path; signed, if the server wants that.
	URL string `json:"url"`
	// Path is where it goes, below the directory.
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// Job is what a run receives.
type Job struct {
	Objects []Object `json:"objects"`
	// Connections are opened to the server and kept.
	Connections int `json:"connections"`
	// RangeBytes splits larger objects, so that connections share them.
	RangeBytes int64 `json:"rangeBytes"`
}

// Save writes a job for a later Run.
func (j Job) Save(path string) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// Load reads what Save wrote.
func Load(path string) (Job, error) {
	var j Job
	text, err := os.ReadFile(path)
	if err != nil {
		return j, err
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return j, fmt.Errorf("reading the job %s: %w", path, err)
	}
	return j, nil
}

// part is what one request asks for.
type part struct {
	file         *file
	offset, size int64
}

// file opens, and is closed, with its first and last part.
type file struct {
	Object
	path string
	once sync.Once
	err  error
	out  *os.File

	mu   sync.Mutex
	left int64
}

func (f *file) open() (*os.File, error) {
	f.once.Do(func() {
		if f.out, f.err = os.Create(f.path); f.err == nil && f.Size > 0 {
			f.err = unix.Fallocate(int(f.out.Fd()), 0, 0, f.Size)
		}
	})
	return f.out, f.err
}

// written notes bytes that are in the file and closes it after the last.
func (f *file) written(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left -= n; f.left == 0 {
		return f.out.Close()
	}
	return nil
}

// Run receives everything into a directory.
func (j Job) Run(dir string) error {
	parts, err := j.plan(dir)
	if err != nil {
		return err
	}
	queue := make(chan part, len(parts))
	for _, p := range parts {
		queue <- p
	}
	close(queue)
	var group errgroup.Group
	for range min(j.Connections, len(parts)) {
		group.Go(func() error {
			c := &connection{buf: make([]byte, bufferBytes)}
			defer c.close()
			for p := range queue {
				if err := c.receive(p); err != nil {
					return fmt.Errorf("receiving %s: %w", p.file.Path, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// plan makes the directories, and cuts the objects into parts.
func (j Job) plan(dir string) ([]part, error) {
	var parts []part
	made := map[string]bool{}
	for _, o := range j.Objects {
		f := &file{Object: o, path: filepath.Join(dir, filepath.FromSlash(o.Path)), left: o.Size}
		if parent := filepath.Dir(f.path); !made[parent] {
			if err := os.MkdirAll(parent, 0o755); err != nil {
				return nil, err
			}
			made[parent] = true
		}
		step := o.Size
		if j.RangeBytes > 0 {
			step = min(step, j.RangeBytes)
		}
		for offset := int64(0); offset < o.Size; offset += step {
			parts = append(parts, part{file: f, offset: offset, size: min(step, o.Size-offset)})
		}
	}
	return parts, nil
}
