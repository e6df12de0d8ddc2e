// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
)

// A file of a watched tree is its version, a newline, and Size bytes of which
// each is the version's last character. Every file of a tree has one version.
const watchedSize = 64 << 10

var watchedFiles = []string{"a.bin", "sub/b.bin"}

// observed is what the reader has seen so far.
type observed struct {
	Reads    int            `json:"reads"`
	Versions map[string]int `json:"versions"`
	Missing  int            `json:"missing"`
	Partial  int            `json:"partial"`
	Mixed    int            `json:"mixed"`
	First    string         `json:"first"` // the first thing that was wrong
}

type watcher struct {
	mu   sync.Mutex
	seen observed
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	dir := flags.String("watch", "", "directory to read in a tight loop")
	listen := flags.String("listen", ":8080", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	w := &watcher{seen: observed{Versions: map[string]int{}}}
	if *dir != "" {
		go func() {
			for {
				w.look(*dir)
			}
		}()
	}
	http.HandleFunc("GET /seen", func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		_ = json.NewEncoder(rw).Encode(w.seen)
	})
	return http.ListenAndServe(*listen, nil)
}

// look reads the tree once, through one opened directory, and adds what it saw.
func (w *watcher) look(dir string) {
	version, err := readTree(dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Reads++
	switch {
	case err == nil:
		w.seen.Versions[version]++
		return
	case errors.Is(err, fs.ErrNotExist):
		w.seen.Missing++
	case errors.Is(err, errMixed):
		w.seen.Mixed++
	default:
		w.seen.Partial++
	}
	if w.seen.First == "" {
		w.seen.First = err.Error()
	}
}

var errMixed = errors.New("two versions in one directory")

func readTree(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	var version string
	for _, name := range watchedFiles {
		v, err := readWatched(root, name)
		if err != nil {
			return "", err
		}
		if version != "" && v != version {
			return "", fmt.Errorf("%w: %s and %s", errMixed, version, v)
		}
		version = v
	}
	return version, nil
}

func readWatched(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	version, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok || len(version) == 0 || len(body) != watchedSize {
		return "", fmt.Errorf("%s has %d bytes", name, len(data))
	}
	if want := bytes.Repeat(version[len(version)-1:], watchedSize); !bytes.Equal(body, want) {
		return "", fmt.Errorf("%s has bytes that are not of version %s", name, version)
	}
	return string(version), nil
}
