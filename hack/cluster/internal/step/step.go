// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package step

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const heartbeat = 15 * time.Second

// Log prints steps. It may be used from several goroutines.
type Log struct {
	mu      sync.Mutex
	out     io.Writer
	started time.Time
}

// New returns a log that prints to out and counts time from now.
func New(out io.Writer) *Log { return &Log{out: out, started: time.Now()} }

// Do runs f as the step called name.
func (l *Log) Do(name string, f func() error) error {
	started := time.Now()
	done := make(chan struct{})
	var beats sync.WaitGroup
	beats.Add(1)
	go func() {
		defer beats.Done()
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				l.Note("%s … %s", name, round(time.Since(started)))
			}
		}
	}()
	err := f()
	close(done)
	beats.Wait()
	if err != nil {
		l.Note("%s: failed after %s", name, round(time.Since(started)))
		return err
	}
	l.Note("%s: %s", name, round(time.Since(started)))
	return nil
}

// Note prints a line, after the time since the log began.
func (l *Log) Note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "[%6.1fs] %s\n", time.Since(l.started).Seconds(), fmt.Sprintf(format, args...))
}

// Elapsed is the time since the log began.
func (l *Log) Elapsed() time.Duration { return round(time.Since(l.started)) }

func round(d time.Duration) time.Duration {
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(10 * time.Millisecond)
}
