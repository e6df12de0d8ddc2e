// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package http

import "github.com/kuda-io/kuda/internal/source"

// Config describes one HTTP server.
type Config struct {
	// URL is what paths are appended to: http://host:port/base.
	URL string
	// Credentials has the file token, or the files username and password,
	// which are read again when they change. Nil: no authentication.
	Credentials *source.Mount
	// CAFile, CAName and Proxy are those of source.TransportConfig.
	CAFile, CAName, Proxy string
}
