// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"log"
	"strings"

	"github.com/go-logr/logr"
)

// quiet passes what net/http says about single connections on at a verbosity
// at which it does not drown the rest: anyone who can reach the port can cause it.
func quiet(l logr.Logger) *log.Logger { return log.New(lines{l}, "", 0) }

type lines struct{ log logr.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.V(1).Info("had trouble with a connection", "detail", strings.TrimSpace(string(p)))
	return len(p), nil
}
