// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
)

// server replies with the model it holds; a reload replaces it at once or,
// when the new one cannot be read, not at all.
type server struct {
	dir       string
	reloading sync.Mutex
	model     atomic.Pointer[model]
}

func (s *server) reloadModel() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	m, err := loadModel(s.dir)
	if err != nil {
		return err
	}
	s.model.Store(m)
	slog.Info("loaded a model", "version", m.Version, "shards", len(m.Shards), "bytes", m.totalBytes())
	return nil
}

func (s *server) newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		m := s.model.Load()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"version": m.Version, "shards": len(m.Shards), "bytes": m.totalBytes()})
	})
	mux.HandleFunc("GET /reload", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.reloadModel(); err != nil {
			slog.Error("the model was not replaced", "err", err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
