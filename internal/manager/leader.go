// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"net"
	"time"

	"k8s.io/client-go/rest"
)

// Times of the leader's Lease. A leader that cannot renew it for renewDeadline ends its
// process, and with it the streams of its gateway, so an API server that is busy for
// seconds must not come to that. A leader that is killed is followed after leaseDuration;
// one that ends in order releases the Lease.
const (
	leaseDuration = 30 * time.Second
	renewDeadline = 24 * time.Second
	renewInterval = 3 * time.Second
)

// Times of the connection that the Lease is renewed over.
const (
	leaseDialTimeout = 5 * time.Second
	leaseKeepAlive   = 15 * time.Second
)

// leaderConfig returns the configuration of a client that shares no connection and no limit
// with others: thousands of statuses are written together, and the Lease must not wait
// behind them.
func leaderConfig(cfg *rest.Config) *rest.Config {
	own := rest.CopyConfig(cfg)
	// A dialer of its own also keeps client-go from sharing the transport.
	own.Dial = (&net.Dialer{Timeout: leaseDialTimeout, KeepAlive: leaseKeepAlive}).DialContext
	own.UserAgent += " leader-election"
	return own
}
