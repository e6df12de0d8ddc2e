// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1/sourcev1alpha1connect"
	"github.com/kuda-io/kuda/internal/source/plugin/wire"
)

// EnvSocket is the environment variable that names the socket.
const EnvSocket = "KUDA_PLUGIN_SOCKET"

// stopTime is how long reads that run when the plugin is to stop may go on:
// less than the 30 s that Kubernetes gives a pod.
const stopTime = 20 * time.Second

// Options of a plugin.
type Options struct {
	// Name and Version of the plugin, for logs and messages. Required.
	Name, Version string
	// Open returns the source that a config describes. It checks the settings
	// and need not connect. It may be called again for the same config, and the
	// source it returned is closed when nothing has used it for IdleTime.
	// Required.
	Open func(ctx context.Context, c Config) (Source, error)
	// IdleTime is how long a source that nothing uses stays open; 0 means a minute.
	IdleTime time.Duration
	// Socket is the path to listen at; "" means that of KUDA_PLUGIN_SOCKET.
	Socket string
	// MaxReads is how many reads go on at the same time, each with a buffer of
	// 256 KiB; more wait. 0 means 32, which is what one runtime does.
	MaxReads int
	// Log; nil means slog.Default.
	Log *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Name == "" || o.Version == "":
		return o, errors.New("starting the plugin: Options.Name and Options.Version are required")
	case o.Open == nil:
		return o, errors.New("starting the plugin: Options.Open is required")
	}
	if o.Socket == "" {
		o.Socket = os.Getenv(EnvSocket)
	}
	if o.Socket == "" {
		return o, fmt.Errorf("starting the plugin: %s is not set; Kuda sets it in the plugin's container, by hand set it to a path", EnvSocket)
	}
	if o.IdleTime == 0 {
		o.IdleTime = time.Minute
	}
	if o.MaxReads == 0 {
		o.MaxReads = 32
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, nil
}

// Main serves a plugin until SIGTERM or SIGINT, logs JSON to standard error,
// and ends the process: with 0, or with 1 and the error in the log.
func Main(o Options) {
	if o.Log == nil {
		o.Log = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := Serve(ctx, o)
	stop()
	if err != nil {
		o.Log.Error("plugin failed", "error", err.Error())
		os.Exit(1)
	}
}

// Serve serves a plugin until ctx ends; then running calls have 20 seconds to
// finish. It returns nil after that, and an error when it cannot listen.
func Serve(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	l, err := listenUnix(o.Socket)
	if err != nil {
		return fmt.Errorf("starting the plugin: %w", err)
	}
	s := newService(o)
	defer s.sources.close()
	server := newServer(s)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	o.Log.Info("plugin serves", "plugin", o.Name, "version", o.Version, "socket", o.Socket)
	select {
	case err := <-failed:
		return fmt.Errorf("serving the plugin: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		o.Log.Warn("calls were cut off", "after", stopTime.String())
		_ = server.Close()
	}
	o.Log.Info("plugin stopped")
	return nil
}

func newServer(s *service) *http.Server {
	mux := http.NewServeMux()
	mux.Handle(sourcev1alpha1connect.NewSourceServiceHandler(s,
		connect.WithCodec(wire.Codec{}), connect.WithReadMaxBytes(wire.MaxRequest), connect.WithCompression("gzip", nil, nil),
		connect.WithRecover(s.handlePanic)))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}
