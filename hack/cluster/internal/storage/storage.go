// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"

	"github.com/kuda-io/kuda/hack/cluster/internal/build"
)

// Options say where a server runs.
type Options struct {
	// Dir is an empty or missing directory for everything the server keeps,
	// logs (*.log) included.
	Dir string
	// Address is the IP address that the server listens on, and by which its
	// clients reach it.
	Address string
	// Content is a directory whose files are stored before the server counts as
	// ready; "" for none.
	Content string
	// Tools are the built programs.
	Tools build.Toolset
	// Settings are the kind's own, as --set name=value.
	Settings map[string]string
}

// Run starts a server, calls ready once with what a client needs to know (it
// becomes one line of JSON), and keeps the server until ctx ends or the server
// does; the latter is an error. Nothing of it is left when Run returns, and its
// processes die with this one.
type Run func(ctx context.Context, o Options, ready func(any) error) error
