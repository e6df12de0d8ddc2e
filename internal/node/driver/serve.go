// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"

	"github.com/kuda-io/kuda/internal/drain"
	"github.com/kuda-io/kuda/internal/gen/csi/v1/csiv1connect"
	"github.com/kuda-io/kuda/internal/gen/pluginregistration/pluginregistrationconnect"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	// socketName is that of the socket. The kubelet sees none whose name begins with ".".
	socketName = sidecar.CSIDriver + ".sock"
	// maxConnections bounds memory. The kubelet has one for each call, and closes it when
	// it has waited for two minutes; further ones wait to be accepted.
	maxConnections = 16
	// drainTime is how long a call may take to begin, and how long calls may last that
	// were taken when the driver is told to end.
	drainTime = 10 * time.Second
)

// Socket is the path of the socket in the kubelet's directory of them.
func Socket(dir string) string { return filepath.Join(dir, socketName) }

// Serve serves the kubelet until ctx ends. It refuses to begin where pods would not
// see what it mounts.
func (d *Driver) Serve(ctx context.Context) error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("looking at the mounts: %w", err)
	}
	if err := checkPropagation(string(mountinfo), d.pods); err != nil {
		return err
	}
	stores, err := ensureStores(d.options.Base)
	if err != nil {
		return err
	}
	closeFD(stores)
	socket := Socket(d.options.SocketDir)
	listener, made, err := listenHidden(ctx, socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(csiv1connect.NewIdentityHandler(d))
	mux.Handle(csiv1connect.NewNodeHandler(d))
	mux.Handle(pluginregistrationconnect.NewRegistrationHandler(d))
	server := &http.Server{Handler: mux, Protocols: &http.Protocols{}, ReadHeaderTimeout: drainTime}
	server.Protocols.SetUnencryptedHTTP2(true)
	// Once the socket is gone the kubelet says that the driver is not registered; a dead
	// one would be a connection that is refused.
	context.AfterFunc(ctx, func() { unlinkOwn(socket, made) })
	d.options.Log.Info("listens", "socket", socket)
	listener = netutil.LimitListener(listener, maxConnections)
	return drain.Serve(ctx, server, socket, drainTime, func() error { return server.Serve(listener) })
}

// listenHidden listens before the socket has its name: one by this name is never without
// a listener. A dead one is replaced.
func listenHidden(ctx context.Context, socket string) (net.Listener, os.FileInfo, error) {
	hidden := filepath.Join(filepath.Dir(socket), "."+filepath.Base(socket))
	if err := os.Remove(hidden); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("removing a socket of an earlier driver: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", hidden)
	if err != nil {
		return nil, nil, fmt.Errorf("listening in the kubelet's directory of plugins: %w", err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	made, err := os.Lstat(hidden)
	if err == nil {
		err = os.Rename(hidden, socket)
	}
	if err != nil {
		_ = listener.Close()
		return nil, nil, fmt.Errorf("naming the socket: %w", err)
	}
	return listener, made, nil
}

// unlinkOwn removes a socket, unless another driver has made its own by this name.
func unlinkOwn(socket string, made os.FileInfo) {
	if now, err := os.Lstat(socket); err == nil && os.SameFile(now, made) {
		_ = os.Remove(socket)
	}
}
