// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package alluxio

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// Config describes an Alluxio.
type Config struct {
	// Host of the master, a name or an address.
	Host string
	// Port of the master; that of the proxy leads to the master on the same host.
	Port int
	// Timeout of a call of the master; 0 means 30 s.
	Timeout time.Duration
	// UserName is who reads. Servers believe it.
	UserName string
}

// Address returns host:port of the master, or why the settings name none.
func (c Config) Address() (string, error) {
	fail := func(err error) (string, error) {
		return "", &source.Error{Op: "opening an Alluxio source", Class: source.ErrMisconfigured, Err: err}
	}
	switch {
	case c.Host == "" || strings.ContainsAny(c.Host, "/ \t\r\n"):
		return fail(fmt.Errorf("the host %q is neither a name nor an address", c.Host))
	case c.Port < 1 || c.Port > 65535:
		return fail(fmt.Errorf("the port %d is none", c.Port))
	case c.UserName == "":
		return fail(errors.New("no user name is given"))
	case c.Timeout < 0:
		return fail(fmt.Errorf("the timeout %v is below zero", c.Timeout))
	}
	host := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(c.Host, "["), "]"))
	return net.JoinHostPort(host, strconv.Itoa(c.Port)), nil
}
