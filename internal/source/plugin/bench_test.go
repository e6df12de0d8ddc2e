// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	driver "github.com/kuda-io/kuda/internal/source/plugin"
	"github.com/kuda-io/kuda/plugin"
)

// memory is a source whose files are all alike.
type memory struct{ content []byte }

func (m memory) Identity() string { return "memory" }
func (m memory) Close() error     { return nil }

func (m memory) List(context.Context, string) iter.Seq2[plugin.Entry, error] {
	return func(yield func(plugin.Entry, error) bool) {
		yield(plugin.Entry{Key: "k", Size: int64(len(m.content)), Identity: "i"}, nil)
	}
}

func (m memory) Open(_ context.Context, _ plugin.Entry, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.content[offset : offset+length])), nil
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRead reads ranges of 16 MiB, 8 at a time, as the engine does. The CPU
// is that of both ends.
func BenchmarkRead(b *testing.B) {
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m := memory{content: make([]byte, 16<<20)}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- plugin.Serve(ctx, plugin.Options{Name: "memory", Version: "v0", Socket: filepath.Join(dir, "s"),
			Log:  slog.New(slog.DiscardHandler),
			Open: func(context.Context, plugin.Config) (plugin.Source, error) { return m, nil }})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	s, err := driver.New(ctx, driver.Config{Name: "memory", Socket: filepath.Join(dir, "s")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	entry := plugin.Entry{Key: "k", Size: 16 << 20, Identity: "i"}
	var ranges atomic.Int64
	b.SetBytes(entry.Size)
	b.ReportAllocs()
	used := cpu(b)
	b.ResetTimer()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			buffer := make([]byte, 1<<20)
			for ranges.Add(1) <= int64(b.N) {
				body, err := s.Open(ctx, entry, 0, entry.Size)
				if err != nil {
					b.Error(err)
					return
				}
				for err == nil {
					_, err = io.ReadFull(body, buffer)
				}
				body.Close()
				if !errors.Is(err, io.EOF) {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	gigabytes := float64(b.N) * float64(entry.Size) / 1e9
	b.ReportMetric((cpu(b)-used).Seconds()/gigabytes, "cpu-s/GB")
}
