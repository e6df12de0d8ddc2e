// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"

	"github.com/kuda-io/kuda/plugin"
)

// The settings, below dataSources.plugin.config.
const (
	settingAddress     = "address"
	settingUser        = "user"
	settingRoot        = "root"
	settingConnections = "connections"
)

// The keys of the Secret. The first is that of Secrets of the type
// kubernetes.io/ssh-auth. The ConfigMap of caRef may have known_hosts too.
const (
	keyPrivateKey = "ssh-privatekey"
	keyPassphrase = "passphrase"
	keyPassword   = "password"
	keyKnownHosts = "known_hosts"
)

const (
	defaultConnections = 4
	maxConnections     = 16
)

// settings are those of a config, checked.
type settings struct {
	address     string // host:port
	user        string
	root        string // absolute, or relative to where the server puts the user
	connections int
	secret      *plugin.Mount
	hosts       *plugin.Mount // with known_hosts
	hostsKey    string
}

func parse(c plugin.Config) (settings, error) {
	s := settings{user: c.Settings[settingUser], root: ".", connections: defaultConnections, secret: c.Secret}
	for name, value := range c.Settings {
		switch name {
		case settingAddress, settingUser:
		case settingRoot:
			s.root = path.Clean(value)
		case settingConnections:
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxConnections {
				return s, misconfigured("connections is %q, not a number from 1 to %d", value, maxConnections)
			}
			s.connections = n
		default:
			return s, misconfigured("there is no setting %q; the settings are address, user, root and connections", name)
		}
	}
	var err error
	if s.address, err = parseAddress(c.Settings[settingAddress]); err != nil {
		return s, err
	}
	if s.user == "" {
		return s, misconfigured("user is missing; set the name to sign in with")
	}
	if s.secret == nil {
		return s, &plugin.Error{Op: opSettings, Class: plugin.ErrCredentials,
			Err: errors.New("secretRef is missing; name a Secret with ssh-privatekey or password")}
	}
	s.hosts, s.hostsKey = s.secret, keyKnownHosts
	if c.CA != nil {
		s.hosts = c.CA
		if c.CAKey != "" && c.CAKey != "ca.crt" { // the API's default
			s.hostsKey = c.CAKey
		}
	}
	return s, nil
}

// parseAddress returns host:port of a host with a port or without.
func parseAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "22"
	}
	if n, err := strconv.ParseUint(port, 10, 16); host == "" || err != nil || n == 0 {
		return "", misconfigured("address is %q; set the server's host or host:port", address)
	}
	return net.JoinHostPort(host, port), nil
}

// identity names the directory that paths are relative to.
func (s settings) identity() string {
	if path.IsAbs(s.root) {
		return "sftp://" + s.address + s.root
	}
	// Where it begins depends on the user.
	return "sftp://" + s.user + "@" + s.address + "/" + s.root
}

const opSettings = "reading the settings"

func misconfigured(format string, args ...any) error {
	return &plugin.Error{Op: opSettings, Class: plugin.ErrMisconfigured, Err: fmt.Errorf(format, args...)}
}
