// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxiotest

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/kuda-io/kuda/internal/storagetest"
)

// Server is a running Alluxio.
type Server struct {
	// Master is where clients connect to, host:port.
	Master string
	// Proxy is host:port of the HTTP proxy; "" without.
	Proxy string
	// Root is the directory that is cached; "" where other storage is.
	Root string
	// Servers by their names: master, worker0, …, proxy.
	Servers map[string]Process
	// Control starts servers that were killed.
	Control string
}

// Process is one server.
type Process struct {
	PID     int
	Address string
	// Dir is where a worker keeps its blocks.
	Dir string
}

// Start runs an Alluxio with settings of the form name=value that ends with the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{}
	storagetest.Start(t, "alluxio", s, settings...)
	return s
}

// Host returns the master's host and port.
func (s *Server) Host(t testing.TB) (string, int) {
	t.Helper()
	host, text, err := net.SplitHostPort(s.Master)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// Put stores a file in the directory that is cached, in place of what was there.
func (s *Server) Put(t testing.TB, name string, content []byte) {
	t.Helper()
	path := filepath.Join(s.Root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(filepath.Dir(s.Root), "fresh")
	if err := os.WriteFile(fresh, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to a server.
func (s *Server) Signal(t testing.TB, name string, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.Servers[name].PID, signal); err != nil {
		t.Fatalf("signalling %s: %v", name, err)
	}
}

// Restart starts a server that was killed.
func (s *Server) Restart(t testing.TB, name string) {
	t.Helper()
	response, err := http.Post(s.Control+"/start?"+name, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("starting %s: %s, %v", name, text, err)
	}
	process := s.Servers[name]
	if process.PID, err = strconv.Atoi(string(text)); err != nil {
		t.Fatal(err)
	}
	s.Servers[name] = process
}

// Blocks returns the files in which workers keep blocks.
func (s *Server) Blocks(t testing.TB) (paths []string) {
	t.Helper()
	for _, process := range s.Servers {
		if process.Dir == "" {
			continue
		}
		err := filepath.WalkDir(process.Dir, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}
