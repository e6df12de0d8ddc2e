// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source/hdfs/block"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// protector finds out how to authenticate to datanodes.
type protector struct {
	namenodes *namenodes
	kerberos  bool
	// explicit tells that the settings ask for a protection.
	explicit   bool
	protection block.Protection

	mu      sync.Mutex
	known   bool
	encrypt bool
	key     *wire.EncryptionKey
}

func newProtector(n *namenodes, c Config, protection block.Protection) *protector {
	return &protector{namenodes: n, kerberos: c.Kerberos != nil, explicit: c.DataTransferProtection != "", protection: protection}
}

// securityFor returns what to do at a datanode, nil for nothing. Like Hadoop's own
// client it does nothing at a privileged port, which only root could open,
// unless the settings or the cluster demand it.
func (p *protector) securityFor(ctx context.Context, address string) (*block.Security, error) {
	key, encrypt, err := p.encryptionKey(ctx)
	if err != nil {
		return nil, err
	}
	if encrypt {
		return &block.Security{Protection: block.Privacy, Key: key}, nil
	}
	if !p.kerberos || (!p.explicit && isPrivilegedPort(address)) {
		return nil, nil
	}
	return &block.Security{Protection: p.protection}, nil
}

func isPrivilegedPort(address string) bool {
	_, port, _ := net.SplitHostPort(address)
	n, err := strconv.Atoi(port)
	return err == nil && n < 1024
}

// encryptionKey returns the cluster's key where it encrypts all transfers.
func (p *protector) encryptionKey(ctx context.Context) (*wire.EncryptionKey, bool, error) {
	p.mu.Lock()
	known, encrypt, key := p.known, p.encrypt, p.key
	p.mu.Unlock()
	if !known {
		answer, err := p.namenodes.callActive(ctx, "getServerDefaults", nil)
		if err != nil {
			return nil, false, err
		}
		if encrypt, err = wire.ParseEncryptTransfers(answer); err != nil {
			return nil, false, fmt.Errorf("reading the server's defaults: %w", err)
		}
	}
	// A key is changed for another one well before datanodes forget it.
	if encrypt && (key == nil || time.Until(time.UnixMilli(int64(key.Expires))) < time.Minute) {
		answer, err := p.namenodes.callActive(ctx, "getDataEncryptionKey", nil)
		if err != nil {
			return nil, false, err
		}
		if key, err = wire.ParseEncryptionKey(answer); err != nil {
			return nil, false, fmt.Errorf("reading the key for transfers: %w", err)
		}
	}
	p.mu.Lock()
	p.known, p.encrypt, p.key = true, encrypt, key
	p.mu.Unlock()
	return key, encrypt, nil
}

// forgetKey drops a key that a datanode did not accept.
func (p *protector) forgetKey() {
	p.mu.Lock()
	p.key = nil
	p.mu.Unlock()
}
