// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import "github.com/kuda-io/kuda/internal/source"

// Config describes one HTTP server.
type Config struct {
	// URL is what paths are appended to: http://host:port/base.
	URL string
	// Credentials has the file token (a bearer token), or the files username and
	// password, or the file header (a line "Name: value"); and perhaps the file
	// query, which is what follows the ? of every URL. They are read again when
	// they change. Nil: no authentication.
	Credentials *source.Mount
	// CAFile, CAName and Proxy are those of source.TransportConfig.
	CAFile, CAName, Proxy string
}
