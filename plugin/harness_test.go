// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	driver "github.com/kuda-io/kuda/internal/source/plugin"
	"github.com/kuda-io/kuda/plugin"
)

// lockedWriter lets several goroutines log.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// socketPath is short enough for a socket, which t.TempDir may not be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "plugin.sock")
}

// openError is the error with which a source opens.
func openError(t *testing.T, socket string, c plugin.Config) error {
	t.Helper()
	s, err := driver.New(t.Context(), driver.Config{Name: "fake", Socket: socket, Settings: c.Settings})
	if err == nil {
		_ = s.Close()
	}
	return err
}
