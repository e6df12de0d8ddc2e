// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/plugin"
	"github.com/kuda-io/kuda/plugin/plugintest"
)

// tree is a source of these entries, whose content is all the same.
type tree []plugin.Entry

func (tree) Identity() string { return "tree" }
func (tree) Close() error     { return nil }

func (l tree) List(context.Context, string) iter.Seq2[plugin.Entry, error] {
	return func(yield func(plugin.Entry, error) bool) {
		for _, e := range l {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (tree) Open(_ context.Context, _ plugin.Entry, _, length int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), int(length)))), nil
}

// deliver delivers a tree as the runtime does, and returns the snapshot's directory.
func deliver(t *testing.T, entries tree) (string, error) {
	t.Helper()
	s := plugintest.Open(t, plugintest.Start(t, options(entries)), plugin.Config{})
	kept, err := store.Open(store.Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	key := snapshot.Key{Source: s.Identity(), Path: "tree/", Version: "v1"}
	result, err := transfer.New(transfer.Options{Store: kept}).Deliver(t.Context(), transfer.NewRequest(s, key, nil))
	if err != nil {
		return "", err
	}
	t.Cleanup(func() { _ = result.Lease.Close() })
	return result.Lease.Dir(), nil
}

func TestTreeOfAPluginIsDelivered(t *testing.T) {
	const large = 40 << 20 // several ranges, read at the same time
	dir, err := deliver(t, tree{{Path: "large", Key: "a", Size: large, Identity: "1"}, {Path: "dir/small", Key: "b", Size: 7, Identity: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"large": large, "dir/small": 7} {
		found := false
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || filepath.Base(path) != filepath.Base(name) || d.IsDir() {
				return err
			}
			found = true
			content, err := os.ReadFile(path)
			if err == nil && !bytes.Equal(content, bytes.Repeat([]byte("x"), size)) {
				t.Errorf("%s has %d other bytes", name, len(content))
			}
			return err
		})
		if err != nil || !found {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
}

func TestPluginCannotWriteOutsideOfItsItem(t *testing.T) {
	for name, entry := range map[string]plugin.Entry{
		"parent":   {Path: "../escape", Key: "k", Size: 1, Identity: "1"},
		"inside":   {Path: "a/../../escape", Key: "k", Size: 1, Identity: "1"},
		"absolute": {Path: "/tmp/escape", Key: "k", Size: 1, Identity: "1"},
		"control":  {Path: "new\nline", Key: "k", Size: 1, Identity: "1"},
		"link":     {Path: "link", Key: "k", Link: "../../escape", Identity: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := deliver(t, tree{{Path: "plain", Key: "p", Size: 1, Identity: "1"}, entry})
			var invalid *plugin.InvalidPathError
			if !errors.As(err, &invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}
