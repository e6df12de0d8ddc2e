// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	driver "github.com/kuda-io/kuda/internal/source/plugin"
	"github.com/kuda-io/kuda/internal/source/sourcetest"
	"github.com/kuda-io/kuda/plugin"
)

// Storage is how the contract suite puts files into the real storage system,
// and what that system can do. Its Open, OpenDenied and OpenVia are left empty:
// Harness says how sources are opened.
type Storage = sourcetest.Harness

// Harness is a plugin with a real storage system.
type Harness struct {
	Storage
	// Config describes the storage system at addr, which is Storage.Addr or a
	// proxy in front of it.
	Config func(t *testing.T, addr string) plugin.Config
	// ConfigDenied is one whose credentials are wrong. Optional: the system has
	// no credentials.
	ConfigDenied func(t *testing.T) plugin.Config
}

// Run checks that a plugin keeps the contract of a Source: called directly, and
// by a runtime through its socket.
func Run(t *testing.T, o plugin.Options, h Harness) {
	t.Run("direct", func(t *testing.T) {
		h.run(t, func(t *testing.T, c plugin.Config) plugin.Source {
			t.Helper()
			s, err := o.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			return s
		})
	})
	t.Run("through the socket", func(t *testing.T) {
		socket := Start(t, o)
		h.run(t, func(t *testing.T, c plugin.Config) plugin.Source {
			t.Helper()
			return Open(t, socket, c)
		})
	})
}

func (h Harness) run(t *testing.T, open func(*testing.T, plugin.Config) plugin.Source) {
	m := mounts{t.TempDir()}
	mounted := func(t *testing.T, c plugin.Config) plugin.Source {
		t.Helper()
		c.Secret, c.CA = m.localMount(t, c.Secret), m.localMount(t, c.CA)
		return open(t, c)
	}
	s := h.Storage
	s.Open = func(t *testing.T, addr string) plugin.Source { return mounted(t, h.Config(t, addr)) }
	if h.ConfigDenied != nil {
		s.OpenDenied = func(t *testing.T) plugin.Source { return mounted(t, h.ConfigDenied(t)) }
	}
	sourcetest.Run(t, s)
}

// Start serves a plugin until the test ends and returns its socket. Sources are
// closed as soon as nothing uses them, unless IdleTime says otherwise.
func Start(t *testing.T, o plugin.Options) string {
	t.Helper()
	// t.TempDir may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o.Socket = filepath.Join(dir, "plugin.sock")
	if o.IdleTime == 0 {
		o.IdleTime = time.Nanosecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plugin.Serve(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return o.Socket
}

// Open opens a source as the runtime does, through a plugin's socket. It is
// closed when the test ends.
func Open(t *testing.T, socket string, c plugin.Config) plugin.Source {
	t.Helper()
	config := driver.Config{Name: "test", Socket: socket, Settings: c.Settings, CAKey: c.CAKey}
	if c.Secret != nil {
		config.SecretDir = c.Secret.Dir
	}
	if c.CA != nil {
		config.CADir = c.CA.Dir
	}
	s, err := driver.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
