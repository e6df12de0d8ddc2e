// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package driver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"connectrpc.com/connect"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/gen/csi/v1/csiv1connect"
	"github.com/kuda-io/kuda/internal/gen/pluginregistration"
	"github.com/kuda-io/kuda/internal/gen/pluginregistration/pluginregistrationconnect"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func newClient(o Options) csiv1connect.NodeClient {
	return csiv1connect.NewNodeClient(clientOf(o), "http://localhost", connect.WithGRPC())
}

// withAuthority sends requests under another authority.
type withAuthority struct {
	http.RoundTripper
	authority string
}

func (a withAuthority) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Host = a.authority
	return a.RoundTripper.RoundTrip(r)
}

// TestTheKubeletRegistersThePlugin asks what the kubelet asks, with the authorities that it uses.
func TestTheKubeletRegistersThePlugin(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	for _, authority := range []string{url.PathEscape(Socket(n.options.SocketDir)), "localhost"} {
		client := clientOf(n.options)
		client.Transport = withAuthority{client.Transport, authority}
		registration := pluginregistrationconnect.NewRegistrationClient(client, "http://x", connect.WithGRPC())
		info, err := registration.GetInfo(ctx, connect.NewRequest(&pluginregistration.InfoRequest{}))
		must(t, err)
		if m := info.Msg; m.Type != "CSIPlugin" || m.Name != sidecar.CSIDriver || m.Endpoint != "" || len(m.SupportedVersions) != 1 {
			t.Errorf("got %v", m)
		}
		for _, registered := range []bool{true, false} {
			_, err = registration.NotifyRegistrationStatus(ctx, connect.NewRequest(
				&pluginregistration.RegistrationStatus{PluginRegistered: registered, Error: "refused"}))
			must(t, err)
		}
		identity := csiv1connect.NewIdentityClient(client, "http://x", connect.WithGRPC())
		plugin, err := identity.GetPluginInfo(ctx, connect.NewRequest(&csiv1.GetPluginInfoRequest{}))
		must(t, err)
		if plugin.Msg.Name != sidecar.CSIDriver || plugin.Msg.VendorVersion == "" {
			t.Errorf("got %v", plugin.Msg)
		}
		_, err = identity.GetPluginCapabilities(ctx, connect.NewRequest(&csiv1.GetPluginCapabilitiesRequest{}))
		must(t, err)
		probe, err := identity.Probe(ctx, connect.NewRequest(&csiv1.ProbeRequest{}))
		must(t, err)
		if !probe.Msg.GetReady().GetValue() {
			t.Error("not ready")
		}
		of := csiv1connect.NewNodeClient(client, "http://x", connect.WithGRPC())
		node, err := of.NodeGetInfo(ctx, connect.NewRequest(&csiv1.NodeGetInfoRequest{}))
		must(t, err)
		if node.Msg.NodeId != "node-1" {
			t.Errorf("got %v", node.Msg)
		}
		can, err := of.NodeGetCapabilities(ctx, connect.NewRequest(&csiv1.NodeGetCapabilitiesRequest{}))
		must(t, err)
		if c := can.Msg.Capabilities; len(c) != 1 || c[0].GetRpc().GetType() != csiv1.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP {
			t.Errorf("got %v", c)
		}
	}
}

func TestARefusalNamesTheReason(t *testing.T) {
	n := newNode(t)
	err := n.publish(podUID, store, func(r *csiv1.NodePublishVolumeRequest) { r.VolumeContext[contextPodUID] = otherPod })
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("got %v", err)
	}
	_, err = n.csi.NodeUnpublishVolume(t.Context(), connect.NewRequest(&csiv1.NodeUnpublishVolumeRequest{TargetPath: "/etc"}))
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("got %v", err)
	}
}

func TestADeadSocketIsReplacedAndTheOwnOneGoes(t *testing.T) {
	o := newDirectories(t)
	socket := Socket(o.SocketDir)
	for _, path := range []string{socket, filepath.Join(o.SocketDir, "."+filepath.Base(socket))} {
		l, err := net.Listen("unix", path)
		must(t, err)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		must(t, l.Close())
	}
	for range 2 {
		d, err := New(o)
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- d.Serve(ctx) }()
		n := &node{t: t, options: o, csi: newClient(o)}
		n.awaitSocket()
		if mode := stat(t, socket).Mode & 0o777; mode&0o022 != 0 {
			t.Errorf("the socket's mode is %o: other users can connect", mode)
		}
		must(t, n.publish(podUID, store))
		stop()
		must(t, <-served)
		if left, err := os.ReadDir(o.SocketDir); err != nil || len(left) != 0 {
			t.Errorf("left is %v, %v", left, err)
		}
	}
	must(t, os.WriteFile(socket, nil, 0o600))
	info, err := os.Lstat(o.SocketDir)
	must(t, err)
	unlinkOwn(socket, info)
	if _, err := os.Lstat(socket); errors.Is(err, os.ErrNotExist) {
		t.Error("the socket of another driver was removed")
	}
}
