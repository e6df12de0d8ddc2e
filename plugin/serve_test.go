// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuda-io/kuda/plugin"
	"github.com/kuda-io/kuda/plugin/plugintest"
)

// fake is a source of which each test sets what it does.
type fake struct {
	list   func(yield func(plugin.Entry, error) bool)
	open   func(ctx context.Context) (io.ReadCloser, error)
	closed *atomic.Int32
}

func (f fake) Identity() string { return "fake" }

func (f fake) List(context.Context, string) iter.Seq2[plugin.Entry, error] { return f.list }

func (f fake) Open(ctx context.Context, _ plugin.Entry, _, _ int64) (io.ReadCloser, error) {
	return f.open(ctx)
}

func (f fake) Close() error {
	if f.closed != nil {
		f.closed.Add(1)
	}
	return nil
}

func options(f plugin.Source) plugin.Options {
	return plugin.Options{Name: "fake", Version: "v0",
		Open: func(context.Context, plugin.Config) (plugin.Source, error) { return f, nil }}
}

func listError(s plugin.Source) error {
	for _, err := range s.List(context.Background(), "") {
		if err != nil {
			return err
		}
	}
	return nil
}

var entry = plugin.Entry{Key: "k", Size: 5, Identity: "i"}

func readAll(s plugin.Source) ([]byte, error) {
	body, err := s.Open(context.Background(), entry, 0, entry.Size)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestErrorsOfASourceKeepClassPauseAndText(t *testing.T) {
	for _, class := range []error{plugin.ErrNotFound, plugin.ErrDenied, plugin.ErrThrottled, plugin.ErrChanged,
		plugin.ErrTemporary, plugin.ErrUnreachable, plugin.ErrMisconfigured, plugin.ErrCredentials} {
		for name, err := range map[string]error{
			"an Error":         &plugin.Error{Op: "asking the shelf", Class: class, RetryAfter: 3 * time.Second, Err: errors.New("dust")},
			"an Error, inside": fmt.Errorf("asking the shelf: %w", &plugin.Error{Op: "x", Class: class, Err: errors.New("dust")}),
			"only the class":   fmt.Errorf("asking the shelf: dust: %w", class),
		} {
			t.Run(fmt.Sprintf("%v, %s", class, name), func(t *testing.T) {
				s := plugintest.Open(t, plugintest.Start(t, options(fake{
					list: func(yield func(plugin.Entry, error) bool) { yield(plugin.Entry{}, err) },
					open: func(context.Context) (io.ReadCloser, error) { return nil, err },
				})), plugin.Config{})
				_, openErr := readAll(s)
				for call, got := range map[string]error{"List": listError(s), "Open": openErr} {
					if !errors.Is(got, class) || !strings.Contains(got.Error(), "asking the shelf") || !strings.Contains(got.Error(), "dust") {
						t.Errorf("%s: got %v", call, got)
					}
					if n := strings.Count(got.Error(), class.Error()); n > 2 {
						t.Errorf("%s: %q repeats itself", call, got)
					}
					var e *plugin.Error
					if name == "an Error" && (!errors.As(got, &e) || e.RetryAfter != 3*time.Second) {
						t.Errorf("%s: the pause is lost: %+v", call, e)
					}
				}
			})
		}
	}
}

func TestErrorWithoutAClassIsTemporary(t *testing.T) {
	s := plugintest.Open(t, plugintest.Start(t, options(fake{
		list: func(yield func(plugin.Entry, error) bool) { yield(plugin.Entry{}, errors.New("odd")) },
	})), plugin.Config{})
	if err := listError(s); !errors.Is(err, plugin.ErrTemporary) || !strings.Contains(err.Error(), "odd") {
		t.Errorf("got %v", err)
	}
}

// panicking panics in the middle of the content.
type panicking struct{ io.Reader }

func (p panicking) Read([]byte) (int, error) { panic("in Read") }
func (p panicking) Close() error             { return nil }

func TestPanicOfASourceIsAnErrorOfOneCall(t *testing.T) {
	var log bytes.Buffer
	o := options(fake{
		list: func(func(plugin.Entry, error) bool) { panic("in List") },
		open: func(context.Context) (io.ReadCloser, error) { return panicking{}, nil },
	})
	first := true
	inner := o.Open
	o.Open = func(ctx context.Context, c plugin.Config) (plugin.Source, error) {
		if c.Settings["panic"] != "" && first {
			first = false
			panic("in Open")
		}
		return inner(ctx, c)
	}
	o.Log = slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil))
	socket := plugintest.Start(t, o)
	s := plugintest.Open(t, socket, plugin.Config{})
	_, readErr := readAll(s)
	for call, err := range map[string]error{"List": listError(s), "Read": readErr} {
		if !errors.Is(err, plugin.ErrTemporary) || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s: got %v", call, err)
		}
	}
	// The failed attempt is not kept.
	config := plugin.Config{Settings: map[string]string{"panic": "once"}}
	if err := openError(t, socket, config); !errors.Is(err, plugin.ErrTemporary) {
		t.Errorf("Open: got %v", err)
	}
	if err := openError(t, socket, config); err != nil {
		t.Errorf("the second Open: %v", err)
	}
}

func TestLimitOfReadsHoldsAndFreesItsPlaces(t *testing.T) {
	var running, most atomic.Int32
	o := options(fake{open: func(context.Context) (io.ReadCloser, error) {
		now := running.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		return &counted{Reader: strings.NewReader("12345"), running: &running}, nil
	}})
	o.MaxReads = 2
	s := plugintest.Open(t, plugintest.Start(t, o), plugin.Config{})
	results := make(chan error)
	for range 20 {
		go func() {
			content, err := readAll(s)
			if err == nil && string(content) != "12345" {
				err = fmt.Errorf("read %q", content)
			}
			results <- err
		}()
	}
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d reads went on at the same time", most.Load())
	}
}

// counted is a body that is counted until it is closed.
type counted struct {
	io.Reader
	running *atomic.Int32
}

func (c *counted) Close() error {
	c.running.Add(-1)
	return nil
}

func TestSourcesAreSharedByCallsAndClosedAfterwards(t *testing.T) {
	var opened, closed atomic.Int32
	o := options(nil)
	o.Open = func(_ context.Context, c plugin.Config) (plugin.Source, error) {
		opened.Add(1)
		return fake{list: func(func(plugin.Entry, error) bool) {}, closed: &closed}, nil
	}
	o.IdleTime = time.Hour
	t.Run("in use", func(t *testing.T) {
		socket := plugintest.Start(t, o)
		for _, settings := range []map[string]string{{"a": "1", "b": "2"}, {"a": "1", "b": "2"}, {"a": "1"}} {
			s := plugintest.Open(t, socket, plugin.Config{Settings: settings})
			for range 3 {
				if err := listError(s); err != nil {
					t.Fatal(err)
				}
			}
		}
		if opened.Load() != 2 || closed.Load() != 0 {
			t.Errorf("%d sources were opened, %d closed; two configs were used", opened.Load(), closed.Load())
		}
	})
	// The plugin has stopped.
	if closed.Load() != 2 {
		t.Errorf("%d sources were closed", closed.Load())
	}
}

func TestRunningReadMayFinishWhenThePluginStops(t *testing.T) {
	reader, writer := io.Pipe()
	o := options(fake{open: func(context.Context) (io.ReadCloser, error) { return reader, nil }})
	o.Socket, o.Log = socketPath(t), slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- plugin.Serve(ctx, o) }()
	s := plugintest.Open(t, o.Socket, plugin.Config{})
	body, err := s.Open(t.Context(), entry, 0, entry.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	stop()
	// It takes no new calls from now on, and the read goes on.
	for {
		conn, err := net.Dial("unix", o.Socket)
		if err != nil {
			break
		}
		conn.Close()
	}
	go func() {
		_, _ = writer.Write([]byte("12345"))
		_ = writer.Close()
	}()
	if content, err := io.ReadAll(body); err != nil || string(content) != "12345" {
		t.Errorf("got %q, %v", content, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSocketOfAKilledProcessIsReplaced(t *testing.T) {
	socket := socketPath(t)
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(fake{list: func(func(plugin.Entry, error) bool) {}})
	o.Socket, o.Log = socket, slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- plugin.Serve(ctx, o) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	// It waits until the socket answers.
	s := plugintest.Open(t, socket, plugin.Config{})
	if err := listError(s); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the runtime, another user, may not connect: %v, %v", info, err)
	}
}

func TestIncompleteOptionsAreNamed(t *testing.T) {
	t.Setenv(plugin.EnvSocket, "")
	complete := options(fake{})
	complete.Socket = filepath.Join(t.TempDir(), "missing", "plugin.sock")
	for says, change := range map[string]func(*plugin.Options){
		"Name":           func(o *plugin.Options) { o.Name = "" },
		"Version":        func(o *plugin.Options) { o.Version = "" },
		"Open":           func(o *plugin.Options) { o.Open = nil },
		plugin.EnvSocket: func(o *plugin.Options) { o.Socket = "" },
		"no such file":   func(*plugin.Options) {},
	} {
		o := complete
		change(&o)
		if err := plugin.Serve(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", says, err)
		}
	}
}
