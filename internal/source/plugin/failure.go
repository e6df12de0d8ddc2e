// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/plugin/wire"
)

// errAway: no process listens at the socket.
var errAway = errors.New("the plugin does not listen")

// classifyError gives the error of a call its class: what the plugin answered, or what
// became of the connection.
func (s *Source) classifyError(ctx context.Context, op string, err error) error {
	prefix := "plugin " + s.name + ": " + op
	if context.Cause(ctx) != nil {
		return source.Wrap(ctx, prefix, err)
	}
	answer, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return &source.Error{Op: prefix, Class: source.ErrTemporary, Err: err}
	}
	if answer.Code() == connect.CodeUnimplemented {
		return &source.Error{Op: prefix, Class: source.ErrMisconfigured,
			Err: errors.New("it does not speak kuda.source.v1alpha1; use an image of it that was made for this version of Kuda")}
	}
	if connect.IsWireError(err) {
		return wire.DecodeError(s.name, op, answer)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return &source.Error{Op: prefix, Class: source.ErrUnreachable,
			Err: fmt.Errorf("%w at %s (%v); it starts, or ended: see the log of its container; a pod without one is older than the "+
				"plugin's place in Kuda's configuration, or than the DataSet's use of it: restart the pod", errAway, s.lanes.socket, e.Err)}
	}
	switch answer.Code() {
	case connect.CodeResourceExhausted, connect.CodeInvalidArgument: // too large, or no message
		return s.protocolError(op, answer)
	}
	return &source.Error{Op: prefix, Class: source.ErrTemporary,
		Err: fmt.Errorf("the connection to it broke (%v); when it was restarted, the log of its container says why", answer)}
}

// protocolError is the error of a plugin that does not keep to the protocol. Trying
// again does not help.
func (s *Source) protocolError(op string, err error) error {
	return &source.Error{Op: "plugin " + s.name + ": " + op, Class: source.ErrMisconfigured,
		Err: fmt.Errorf("it breaks the plugin protocol: %w; tell its author", err)}
}
