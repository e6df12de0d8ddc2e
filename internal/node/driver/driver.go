// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"connectrpc.com/connect"
	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/wrapperspb"

	csiv1 "github.com/kuda-io/kuda/internal/gen/csi/v1"
	"github.com/kuda-io/kuda/internal/gen/pluginregistration"
	"github.com/kuda-io/kuda/internal/sidecar"
	"github.com/kuda-io/kuda/internal/version"
)

// Options of a Driver.
type Options struct {
	// SocketDir is the kubelet's directory plugins_registry.
	SocketDir string
	// KubeletDir is the kubelet's directory, at the path that the kubelet has it at.
	KubeletDir string
	// Base is the node's directory of stores.
	Base string
	// NodeName is the name of the node.
	NodeName string
	// Await returns when the store of a namespace, by its name and UID, may be used: see
	// package takeover.
	Await func(ctx context.Context, namespace, uid string) error
	Log   logr.Logger
}

// Driver serves the kubelet of one node.
type Driver struct {
	options Options
	pods    string // the kubelet's directory of pods
	// busy has the targets that a call is about.
	busy sync.Map
	// attachTree is the function of that name.
	attachTree func(source, at int, v volume) error
}

// New returns a driver.
func New(o Options) (*Driver, error) {
	flags := [...]string{"--kubelet-dir", "--socket-dir", "--base"}
	for i, dir := range []*string{&o.KubeletDir, &o.SocketDir, &o.Base} {
		if !filepath.IsAbs(*dir) {
			return nil, fmt.Errorf("%s is %q: it must be an absolute path", flags[i], *dir)
		}
		*dir = filepath.Clean(*dir)
	}
	if o.NodeName == "" {
		return nil, errors.New("--node-name is empty: it must be the name of the node")
	}
	return &Driver{options: o, pods: filepath.Join(o.KubeletDir, "pods"), attachTree: attachTree}, nil
}

// GetInfo implements the registration of plugins. CSI is served at the same socket.
func (d *Driver) GetInfo(context.Context, *connect.Request[pluginregistration.InfoRequest],
) (*connect.Response[pluginregistration.PluginInfo], error) {
	i := &pluginregistration.PluginInfo{Type: "CSIPlugin", Name: sidecar.CSIDriver, SupportedVersions: []string{"1.0.0"}}
	return connect.NewResponse(i), nil
}

// NotifyRegistrationStatus implements the registration of plugins.
func (d *Driver) NotifyRegistrationStatus(_ context.Context, r *connect.Request[pluginregistration.RegistrationStatus],
) (*connect.Response[pluginregistration.RegistrationStatusResponse], error) {
	d.options.Log.Info("heard from the kubelet", "registered", r.Msg.GetPluginRegistered(), "error", r.Msg.GetError())
	return connect.NewResponse(&pluginregistration.RegistrationStatusResponse{}), nil
}

// GetPluginInfo implements the service Identity.
func (d *Driver) GetPluginInfo(context.Context, *connect.Request[csiv1.GetPluginInfoRequest],
) (*connect.Response[csiv1.GetPluginInfoResponse], error) {
	return connect.NewResponse(&csiv1.GetPluginInfoResponse{Name: sidecar.CSIDriver, VendorVersion: version.Version}), nil
}

// GetPluginCapabilities implements the service Identity: there is no controller.
func (d *Driver) GetPluginCapabilities(context.Context, *connect.Request[csiv1.GetPluginCapabilitiesRequest],
) (*connect.Response[csiv1.GetPluginCapabilitiesResponse], error) {
	return connect.NewResponse(&csiv1.GetPluginCapabilitiesResponse{}), nil
}

// Probe implements the service Identity. A driver that answers is ready.
func (d *Driver) Probe(context.Context, *connect.Request[csiv1.ProbeRequest]) (*connect.Response[csiv1.ProbeResponse], error) {
	return connect.NewResponse(&csiv1.ProbeResponse{Ready: wrapperspb.Bool(true)}), nil
}

// NodeGetInfo implements the service Node. It names no topology: the kubelet would
// make a label of the node of it, which stays when the driver goes.
func (d *Driver) NodeGetInfo(context.Context, *connect.Request[csiv1.NodeGetInfoRequest],
) (*connect.Response[csiv1.NodeGetInfoResponse], error) {
	return connect.NewResponse(&csiv1.NodeGetInfoResponse{NodeId: d.options.NodeName}), nil
}

// NodeGetCapabilities implements the service Node. With VOLUME_MOUNT_GROUP the
// kubelet leaves a pod's fsGroup to the driver, which does nothing with it: a store
// belongs to no single pod. Statistics are not offered: the kubelet would ask for
// those of each volume every minute.
func (d *Driver) NodeGetCapabilities(context.Context, *connect.Request[csiv1.NodeGetCapabilitiesRequest],
) (*connect.Response[csiv1.NodeGetCapabilitiesResponse], error) {
	group := &csiv1.NodeServiceCapability{Type: &csiv1.NodeServiceCapability_Rpc{
		Rpc: &csiv1.NodeServiceCapability_RPC{Type: csiv1.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP}}}
	return connect.NewResponse(&csiv1.NodeGetCapabilitiesResponse{Capabilities: []*csiv1.NodeServiceCapability{group}}), nil
}

// NodePublishVolume implements the service Node.
func (d *Driver) NodePublishVolume(ctx context.Context, r *connect.Request[csiv1.NodePublishVolumeRequest],
) (*connect.Response[csiv1.NodePublishVolumeResponse], error) {
	v, err := parseVolume(d.pods, r.Msg)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if err := d.options.Await(ctx, v.namespace, v.namespaceUID); err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	// Twice: the directory may lose its name between being opened and being mounted, to a keeper
	// that takes the pod for dead; what is mounted keeps it.
	for range 2 {
		if err := d.alone(v.target, func() error { return d.mountVolume(v) }); err != nil {
			return nil, codedError("publishing", v.target, err)
		}
	}
	d.options.Log.V(1).Info("published", "kind", v.kind, "namespace", v.namespace, "pod", v.podUID)
	return connect.NewResponse(&csiv1.NodePublishVolumeResponse{}), nil
}

// NodeUnpublishVolume implements the service Node.
func (d *Driver) NodeUnpublishVolume(_ context.Context, r *connect.Request[csiv1.NodeUnpublishVolumeRequest],
) (*connect.Response[csiv1.NodeUnpublishVolumeResponse], error) {
	t, err := parseTarget(d.pods, r.Msg.GetTargetPath())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if err := d.alone(t, func() error { return d.unmountVolume(t) }); err != nil {
		return nil, codedError("unpublishing", t, err)
	}
	d.options.Log.V(1).Info("unpublished", "volume", t.name, "pod", t.podUID)
	return connect.NewResponse(&csiv1.NodeUnpublishVolumeResponse{}), nil
}

var errBusy = errors.New("another call for the volume has not ended")

// alone calls a function unless another call is about the target. No call waits: one
// that hangs in the kernel must not make others hang.
func (d *Driver) alone(t target, f func() error) error {
	if _, taken := d.busy.LoadOrStore(t, nil); taken {
		return errBusy
	}
	defer d.busy.Delete(t)
	return f()
}

// codedError says to the kubelet what came of a volume.
func codedError(what string, t target, err error) error {
	code := connect.CodeInternal
	switch {
	case errors.Is(err, errBusy):
		code = connect.CodeAborted
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		code = connect.CodeResourceExhausted
	case errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR):
		code = connect.CodeFailedPrecondition
		err = fmt.Errorf("%w: something that is no directory was put in its place; remove it", err)
	}
	return connect.NewError(code, fmt.Errorf("%s volume %s of pod %s: %w", what, t.name, t.podUID, err))
}
