// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/block"
)

// Config describes one HDFS.
type Config struct {
	// Addresses of the namenodes' RPC: host:port, or host for port 8020. Of
	// several, which are one highly available HDFS, the active one is found.
	Addresses []string
	// UserName is who reads; not used with Kerberos.
	UserName string
	// Kerberos authenticates; nil for a cluster without it.
	Kerberos *Kerberos
	// DataTransferProtection is the least protection of transfers that is
	// accepted: "authentication", "integrity" or "privacy". With "" it is what the
	// cluster asks for.
	DataTransferProtection string
}

// Kerberos is how to authenticate. The files are read again for every new
// connection, so they may change.
type Kerberos struct {
	// Principal is who reads: user@REALM, or user for the default realm.
	Principal string
	// Keytab is where the principal's keys are.
	Keytab File
	// Krb5Conf is where the realms and their servers are described.
	Krb5Conf File
	// ServicePrincipalName is the namenodes' principal without the realm; _HOST in
	// it stands for the host of the address. "" means "nn/_HOST".
	ServicePrincipalName string
}

// File is one key of a mounted Secret or ConfigMap.
type File struct {
	Mount source.Mount
	// Key is the name of the file.
	Key string
}

const defaultPort = "8020"

func (c Config) checkSettings() (addresses []string, protection block.Protection, err error) {
	misconfigured := func(format string, args ...any) ([]string, block.Protection, error) {
		return nil, 0, &source.Error{Op: "opening an HDFS source", Class: source.ErrMisconfigured, Err: fmt.Errorf(format, args...)}
	}
	if len(c.Addresses) == 0 {
		return misconfigured("no address of a namenode is given")
	}
	for _, address := range c.Addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			host, port, err = net.SplitHostPort(net.JoinHostPort(address, defaultPort))
		}
		if err != nil || host == "" || port == "" || strings.Contains(host, "/") {
			return misconfigured("the address %q is not host:port", address)
		}
		addresses = append(addresses, net.JoinHostPort(host, port))
	}
	if k := c.Kerberos; k == nil && c.UserName == "" {
		return misconfigured("neither a user name nor Kerberos is given")
	} else if k != nil && k.Principal == "" {
		return misconfigured("Kerberos lacks its principal")
	}
	level := slices.Index([]string{"authentication", "integrity", "privacy"}, cmp.Or(c.DataTransferProtection, "authentication"))
	if level < 0 {
		return misconfigured("the protection %q is not one of authentication, integrity and privacy", c.DataTransferProtection)
	}
	if c.DataTransferProtection != "" && c.Kerberos == nil {
		return misconfigured("%w", errors.New("transfers are protected only with Kerberos; give it, or leave out dataTransferProtection"))
	}
	return addresses, block.Protection(level), nil
}
