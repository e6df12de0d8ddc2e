// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"
)

// pool is a fixed number of buffers outside the garbage collector's heap. They
// are made when they are first needed, and given back to the kernel when the
// last delivery ends.
type pool struct {
	size  int
	slots chan struct{}

	mu    sync.Mutex
	users int
	free  [][]byte
}

func newPool(count, size int) *pool {
	return &pool{size: size, slots: make(chan struct{}, count)}
}

// get returns a buffer, waiting for one if need be.
func (p *pool) get(ctx context.Context) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b, nil
	}
	b, err := unix.Mmap(-1, 0, p.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return b, nil
}

func (p *pool) put(b []byte) {
	p.mu.Lock()
	p.free = append(p.free, b)
	p.mu.Unlock()
	<-p.slots
}

// addUser announces a delivery.
func (p *pool) addUser() {
	p.mu.Lock()
	p.users++
	p.mu.Unlock()
}

// removeUser ends one; every buffer it had must be back.
func (p *pool) removeUser() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	for _, b := range p.free {
		_ = unix.Munmap(b) // it was mapped above, so this cannot fail
	}
	p.free = nil
}
