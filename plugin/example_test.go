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
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/plugin"
)

// memory is a storage system: names and texts. A real one is on the network.
type memory map[string]string

func (m memory) Identity() string { return "memory://example" }

func (m memory) List(_ context.Context, path string) iter.Seq2[plugin.Entry, error] {
	return func(yield func(plugin.Entry, error) bool) {
		found := false
		for _, name := range slices.Sorted(maps.Keys(m)) {
			below, ok := strings.CutPrefix(name, path)
			if !ok {
				continue
			}
			found = true
			text := m[name]
			if !yield(plugin.Entry{Path: below, Key: name, Size: int64(len(text)), Identity: plugin.Identity(text)}, nil) {
				return
			}
		}
		if !found {
			yield(plugin.Entry{}, &plugin.Error{Op: "listing " + path, Class: plugin.ErrNotFound})
		}
	}
}

func (m memory) Open(ctx context.Context, e plugin.Entry, offset, length int64) (io.ReadCloser, error) {
	op := "opening " + e.Key
	text, ok := m[e.Key]
	switch {
	case !ok:
		return nil, &plugin.Error{Op: op, Class: plugin.ErrNotFound}
	case plugin.Identity(text) != e.Identity:
		return nil, &plugin.Error{Op: op, Class: plugin.ErrChanged}
	case offset+length > e.Size:
		return nil, &plugin.Error{Op: op, Class: plugin.ErrChanged, Err: errors.New("the range is beyond its end")}
	}
	return plugin.NewReader(ctx, op, io.NopCloser(strings.NewReader(text[offset:offset+length])), length), nil
}

func (m memory) Close() error { return nil }

// openMemory checks the settings. It need not connect.
func openMemory(_ context.Context, c plugin.Config) (plugin.Source, error) {
	if c.Settings["name"] == "" {
		return nil, &plugin.Error{Op: "opening a memory source", Class: plugin.ErrMisconfigured,
			Err: errors.New("name is missing; set it in dataSources.plugin.config")}
	}
	return memory{"models/a": "first", "models/b": "second"}, nil
}

// The main of a plugin is one call.
func ExampleMain() {
	plugin.Main(plugin.Options{Name: "memory", Version: "v0.1.0", Open: openMemory})
}

// A plugin that is to do more at its start or its end calls Serve.
func ExampleServe() {
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, stop := context.WithCancel(context.Background())
	stop() // as SIGTERM does
	err = plugin.Serve(ctx, plugin.Options{
		Name: "memory", Version: "v0.1.0", Open: openMemory, Socket: filepath.Join(dir, "socket"),
		Log: slog.New(slog.DiscardHandler),
	})
	fmt.Println("ended:", err)
	// Output:
	// ended: <nil>
}

// What the user wrote into the DataSet is checked before anything is read, and the
// error says what to do.
func ExampleOptions() {
	o := plugin.Options{Name: "memory", Version: "v0.1.0", Open: openMemory}
	_, err := o.Open(context.Background(), plugin.Config{})
	fmt.Println(err)
	fmt.Println(errors.Is(err, plugin.ErrMisconfigured))
	// Output:
	// opening a memory source: misconfigured: name is missing; set it in dataSources.plugin.config
	// true
}

// A source lists the files of a tree and opens ranges of the very files that it listed.
func ExampleSource() {
	ctx := context.Background()
	s := memory{"models/a": "first", "models/b": "second", "other": "third"}
	var entries []plugin.Entry
	for e, err := range s.List(ctx, "models/") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Path, e.Size)
		entries = append(entries, e)
	}
	body, err := s.Open(ctx, entries[1], 2, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := io.ReadAll(body)
	_ = body.Close()
	fmt.Printf("%s %v\n", text, err)

	s["models/b"] = "changed"
	_, err = s.Open(ctx, entries[1], 2, 3)
	fmt.Println(errors.Is(err, plugin.ErrChanged))
	// Output:
	// a 5
	// b 6
	// con <nil>
	// true
}

// A body that ends early is an error that may pass, never the end of the file.
func ExampleNewReader() {
	body := io.NopCloser(strings.NewReader("only a part"))
	r := plugin.NewReader(context.Background(), "reading models/a", body, 1000)
	_, err := io.ReadAll(r)
	fmt.Println(errors.Is(err, plugin.ErrTemporary))
	// Output:
	// true
}

// Kuda tries again after some answers of an HTTP server, and not after others.
func ExampleStatusClass() {
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway} {
		fmt.Println(status, plugin.StatusClass(status))
	}
	// Output:
	// 404 not found
	// 403 access denied
	// 429 throttled
	// 502 temporary failure
}

// Names come from the storage system, where any user may have chosen them.
func ExampleCheckPath() {
	for _, name := range []string{"models/a", "../etc/passwd"} {
		fmt.Println(name, plugin.CheckPath(name) == nil)
	}
	// Output:
	// models/a true
	// ../etc/passwd false
}

// Keys of the Secret that secretRef names are files, read when they are needed. What
// was read is never printed by accident.
func ExampleConfig() {
	dir, err := os.MkdirTemp("", "secret")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("s3cret"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	c := plugin.Config{Secret: &plugin.Mount{Dir: dir, Name: `Secret "login"`}}
	password, err := c.Secret.Read("password")
	fmt.Println(password, bytes.Equal([]byte(password.Reveal()), []byte("s3cret")), err)
	_, err = c.Secret.Read("user")
	fmt.Println(errors.Is(err, plugin.ErrCredentials))
	// Output:
	// **redacted** true <nil>
	// true
}
