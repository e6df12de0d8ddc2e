// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sftp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/kuda-io/kuda/examples/plugin-sftp/sftp"
	"github.com/kuda-io/kuda/plugin"
	"github.com/kuda-io/kuda/plugin/plugintest"
)

// server is an OpenSSH server; its files are put where it reads them.
type server struct {
	Address    string `json:"address"`
	User       string `json:"user"`
	PrivateKey string `json:"privateKey"`
	HostKey    string `json:"hostKey"`
	Root       string `json:"root"`

	mu   sync.Mutex
	puts int
}

// start starts a server that ends with the test.
func start(t *testing.T) *server {
	t.Helper()
	program := os.Getenv("KUDA_TEST_CLUSTER")
	if program == "" {
		t.Fatal("KUDA_TEST_CLUSTER is not set: run make integration")
	}
	cmd := exec.Command(program, "storage", "run", "sftp")
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // it ends the server
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	s := &server{}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, s)
	}
	if err != nil {
		t.Fatalf("reading where the server is: %v", err)
	}
	return s
}

// base is long enough ago for every modification time after it to be settled.
var base = time.Now().Add(-24 * time.Hour).Truncate(time.Second)

// put stores a file as a careful publisher does, under another name first. Each
// file has a second of its own: within one, SFTP shows no difference.
func (s *server) put(t *testing.T, path string, content []byte) {
	t.Helper()
	s.mu.Lock()
	s.puts++
	modified := base.Add(time.Duration(s.puts) * time.Second)
	s.mu.Unlock()
	file := filepath.Join(s.Root, path)
	staged := filepath.Join(s.Root, ".staged")
	err := errors.Join(
		os.MkdirAll(filepath.Dir(file), 0o755),
		os.WriteFile(staged, content, 0o644),
		os.Chtimes(staged, modified, modified),
		os.Rename(staged, file))
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// config is for the server as it is reached at addr.
func (s *server) config(t *testing.T, addr, privateKey string) plugin.Config {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{
		"ssh-privatekey": privateKey,
		"known_hosts":    knownhosts.Normalize(addr) + " " + s.HostKey + "\n",
	} {
		s.do(t, os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600))
	}
	return plugin.Config{
		Settings: map[string]string{"address": addr, "user": s.User, "root": s.Root},
		Secret:   &plugin.Mount{Dir: dir, Name: `Secret "sftp"`},
	}
}

var options = plugin.Options{
	Name: "sftp", Version: "test",
	Open: func(_ context.Context, c plugin.Config) (plugin.Source, error) { return sftp.New(c) },
}

func TestContractOnOpenSSH(t *testing.T) {
	s, other := start(t), start(t)
	plugintest.Run(t, options, plugintest.Harness{
		Storage: plugintest.Storage{
			Addr:   s.Address,
			Put:    s.put,
			Delete: func(t *testing.T, path string) { s.do(t, os.Remove(filepath.Join(s.Root, path))) },
			Mkdir:  func(t *testing.T, path string) { s.do(t, os.MkdirAll(filepath.Join(s.Root, path), 0o755)) },
			PutLink: func(t *testing.T, path, target string) {
				link := filepath.Join(s.Root, path)
				_ = os.Remove(link) // the suite runs twice
				s.do(t, errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(target, link)))
			},
			PutUnreadable: func(t *testing.T, path string, content []byte) {
				if os.Geteuid() != 0 {
					t.Fatal("the server is another user's only under root: run make integration as root")
				}
				s.put(t, path, content)
				s.do(t, os.Chmod(filepath.Join(s.Root, path), 0o600))
			},
			PutHostile: func(t *testing.T, path string, content []byte) bool {
				file := filepath.Join(s.Root, path)
				if filepath.Clean(path) != path || strings.Contains(path, "..") || len(filepath.Base(path)) > 255 || len(path) > 3000 {
					return false // no file system takes these
				}
				s.put(t, path, content)
				_, err := os.Lstat(file)
				return err == nil
			},
			Boundaries: []int64{32 << 10, 256 << 10},
		},
		Config:       func(t *testing.T, addr string) plugin.Config { return s.config(t, addr, s.PrivateKey) },
		ConfigDenied: func(t *testing.T) plugin.Config { return s.config(t, s.Address, other.PrivateKey) },
	})
}
