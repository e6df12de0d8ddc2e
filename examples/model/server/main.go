// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command server is a small model server: it holds every shard of a model in
// memory and says over HTTP which version that is. It knows nothing of Kuda
// but a directory; a call of /reload makes it read the directory again.
package main

import (
	"flag"
	"log/slog"
	"net/http"
	"os"
	"time"
)

func main() {
	dir := flag.String("model", "/kuda/data/model", "directory of the model: index.json and the shards it names")
	listen := flag.String("listen", ":8080", "address to serve on")
	flag.Parse()
	s := &server{dir: *dir}
	if err := s.reloadModel(); err != nil {
		slog.Error("loading the model", "dir", *dir, "err", err)
		os.Exit(1)
	}
	slog.Info("serving", "listen", *listen, "version", s.model.Load().Version)
	web := &http.Server{Addr: *listen, Handler: s.newHandler(), ReadHeaderTimeout: 10 * time.Second}
	slog.Error("serving ended", "err", web.ListenAndServe())
	os.Exit(1)
}
