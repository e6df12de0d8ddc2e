// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Files is an HTTP server with files by path.
type Files struct {
	Server *httptest.Server

	mu      sync.Mutex
	content map[string]string
	got     map[string]int
	blocked map[string]chan struct{}
}

// NewFiles starts a server.
func NewFiles(t testing.TB) *Files {
	f := &Files{content: map[string]string{}, got: map[string]int{}, blocked: map[string]chan struct{}{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

// ServeHTTP implements http.Handler.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	content, ok := f.content[r.URL.Path]
	if r.Method == http.MethodGet {
		f.got[r.URL.Path]++
	}
	block := f.blocked[r.URL.Path]
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-r.Context().Done():
			return
		}
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256([]byte(content)))))
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
}

// Put makes content what is at a path.
func (f *Files) Put(path, content string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content[path] = content
}

// Gets returns how often a path was read.
func (f *Files) Gets(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[path]
}

// Block holds back answers for a path until release is called.
func (f *Files) Block(path string) (release func()) {
	ch := make(chan struct{})
	f.mu.Lock()
	f.blocked[path] = ch
	f.mu.Unlock()
	return sync.OnceFunc(func() { close(ch) })
}

// Assignment has one item per pair of name and path; the local path is the name.
func (f *Files) Assignment(dataset, revision string, items ...string) *gatewayv1alpha1.Assignment {
	a := &gatewayv1alpha1.Assignment{Data: dataset + "-pod", Dataset: dataset, Revision: revision,
		Sources: []*gatewayv1alpha1.Source{{Name: "http", Config: &gatewayv1alpha1.Source_Http{
			Http: &gatewayv1alpha1.HTTPSource{Url: f.Server.URL}}}}}
	for i := 0; i < len(items); i += 2 {
		a.Items = append(a.Items, &gatewayv1alpha1.Item{Namespace: "default", Name: items[i], Version: items[i+1],
			RemotePath: items[i+1], LocalPath: items[i], Source: "http"})
	}
	return a
}
