// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package page

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var files embed.FS

const index = "index.html"

// Built returns the files that were built, or nil.
func Built() fs.FS {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		return nil
	}
	if _, err := fs.Stat(dist, index); err != nil {
		return nil
	}
	return dist
}

// Handler serves the page: its files by their names, and for every other path the page
// itself, which knows the views. Files are nil where the page was not built.
func Handler(dist fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "the page is read by GET", http.StatusMethodNotAllowed)
			return
		}
		if dist == nil {
			http.Error(w, "this program was built without the page; build it by: make web build", http.StatusNotImplemented)
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if info, err := fs.Stat(dist, name); err != nil || info.IsDir() {
			if strings.HasPrefix(name, "assets/") {
				http.NotFound(w, r)
				return
			}
			name = index
		}
		// Names of assets hold a digest of what is in them.
		w.Header().Set("Cache-Control", "no-cache")
		if strings.HasPrefix(name, "assets/") {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if name == index {
			serveIndex(w, dist)
			return
		}
		http.ServeFileFS(w, r, dist, name) //nolint:gosec // The files are those of the page, and a fs.FS takes no name with dots.
	})
}

// serveIndex serves the page itself: ServeFileFS would redirect from its name.
func serveIndex(w http.ResponseWriter, dist fs.FS) {
	content, err := fs.ReadFile(dist, index)
	if err != nil {
		http.Error(w, "the page cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(content)
}
