// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

// Command plugin-sftp is a source plugin of Kuda that reads from SFTP servers.
package main

import (
	"context"

	"github.com/kuda-io/kuda/examples/plugin-sftp/sftp"
	"github.com/kuda-io/kuda/plugin"
)

func main() {
	plugin.Main(plugin.Options{
		Name:    "sftp",
		Version: "v0.1.0",
		Open: func(_ context.Context, c plugin.Config) (plugin.Source, error) {
			return sftp.New(c)
		},
	})
}
