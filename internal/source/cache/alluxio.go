// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio"
	"github.com/kuda-io/kuda/internal/source/alluxio/client"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
	"github.com/kuda-io/kuda/internal/source/local"
)

// ConnectLimit is how long connecting to a cache may take, and how long a call of the
// master is waited for where the settings do not say.
const ConnectLimit = 2 * time.Second

// Alluxio describes an Alluxio that has a source mounted.
type Alluxio struct {
	// Host and Port of the master.
	Host string
	Port int
	// Timeout of a call of the master; 0 means ConnectLimit.
	Timeout time.Duration
	// Path at which the root of the source is; "" means /.
	Path string
	// UserName is who reads. Servers believe it.
	UserName string
}

// NewAlluxio returns the backend for files of a source. It does not connect yet.
func NewAlluxio(c Alluxio, origin source.Mountable) (Backend, error) {
	dial := &net.Dialer{Timeout: ConnectLimit, KeepAlive: 30 * time.Second, Control: local.Control(c.Host)}
	return newMount(c, origin, dial.DialContext)
}

func newMount(c Alluxio, origin source.Mountable, dial func(context.Context, string, string) (net.Conn, error)) (*mount, error) {
	address, err := alluxio.Config{Host: c.Host, Port: c.Port, UserName: c.UserName}.Address()
	if err != nil {
		return nil, err
	}
	root := "/" + strings.Trim(c.Path, "/")
	return &mount{
		identity: "alluxio://" + address + (&url.URL{Path: root}).EscapedPath(), root: strings.TrimSuffix(root, "/"), origin: origin,
		client: client.New(client.Options{Address: address, User: c.UserName, Timeout: cmp.Or(c.Timeout, ConnectLimit), Dial: dial}),
		known:  map[knownKey]*wire.FileInfo{}, asking: make(chan struct{}, asksAtOnce), loads: map[string]chan struct{}{},
	}, nil
}

// mount is where an Alluxio has a source.
type mount struct {
	identity, root string
	origin         source.Mountable
	client         *client.Client
	// asking holds a place for each call of the master: its answers may be long.
	asking chan struct{}

	mu sync.Mutex
	// known are files that were found, in the order in which they came.
	known map[knownKey]*wire.FileInfo
	order []knownKey
	// bytes that they take.
	bytes int
	// loads has a place for each block that a worker may load at the same time.
	loads map[string]chan struct{}
}

// knownFiles is how many files' blocks are remembered, and knownBytes how much memory they
// take at most: those of a large file are asked for once and used for each of its ranges.
const (
	knownFiles = 64
	knownBytes = 8 << 20
	asksAtOnce = 4
)

type knownKey struct {
	key      string
	identity source.Identity
	modified int64
}

// Identity is "alluxio://host:port/path".
func (m *mount) Identity() string { return m.identity }

func (m *mount) Close() error {
	m.client.Close()
	return nil
}

// Open asks one worker for each block, once.
func (m *mount) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	f, err := m.locateFile(ctx, e)
	if err != nil {
		return nil, err
	}
	body, err := m.client.OpenRange(ctx, f, offset, length, 1)
	if err != nil {
		m.forgetFile(e)
		return nil, m.failed(ReasonFailed, err)
	}
	return source.NewReader(ctx, "reading from "+m.identity, body, length), nil
}

func (m *mount) failed(reason string, err error) error {
	return &Error{Reason: reason, Cache: m.identity, Err: err}
}

func keyOf(e source.Entry) knownKey { return knownKey{e.Key, e.Identity, e.Modified.UnixMilli()} }

// locateFile returns what Alluxio has of a file that was listed. What it remembers is held
// against the listing; where it differs, Alluxio is asked once to look at the source.
func (m *mount) locateFile(ctx context.Context, e source.Entry) (*wire.FileInfo, error) {
	m.mu.Lock()
	f := m.known[keyOf(e)]
	m.mu.Unlock()
	if f != nil {
		return f, nil
	}
	want := m.origin.Original(e)
	path := m.root + "/" + want.Path
	var differs error
	for _, sync := range []wire.Sync{wire.AnyAge, wire.Now} {
		f, err := m.askStatus(ctx, path, sync)
		switch err := alluxio.Classify(ctx, "finding "+path, err); {
		case errors.Is(err, source.ErrNotFound):
			differs = m.failed(ReasonMissing, err)
			continue
		case errors.Is(err, source.ErrDenied), errors.Is(err, source.ErrMisconfigured):
			return nil, m.failed(ReasonMisconfigured, err)
		case err != nil:
			return nil, m.failed(ReasonFailed, err)
		}
		if !isOriginal(f.UFSPath, want) {
			return nil, m.failed(ReasonMisconfigured, fmt.Errorf("%s is %s there, and %s is wanted; correct the cache's path",
				path, f.UFSPath, want.URL))
		}
		if differs = m.compareFile(f, want, e.Size); differs == nil {
			m.rememberFile(e, f)
			return f, nil
		}
	}
	return nil, differs
}

// askStatus asks the master, a few times at once.
func (m *mount) askStatus(ctx context.Context, path string, sync wire.Sync) (*wire.FileInfo, error) {
	select {
	case m.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-m.asking }()
	return m.client.Status(ctx, path, sync)
}

// compareFile returns why a cached file is not the one that was listed, as far as Alluxio
// knows.
func (m *mount) compareFile(f *wire.FileInfo, want source.Original, size int64) error {
	switch {
	case f.Folder || !f.Completed:
		return m.failed(ReasonMissing, fmt.Errorf("%s is no complete file there", f.Path))
	case f.Length != size:
		return m.failed(ReasonStale, fmt.Errorf("%s has %d bytes there and %d in the source", f.Path, f.Length, size))
	case want.Tag != "" && strings.Trim(f.ContentHash(), `"`) != want.Tag:
		return m.failed(ReasonStale, fmt.Errorf("%s is %q there and %q in the source", f.Path, f.ContentHash(), want.Tag))
	case want.Tag == "" && f.Modified != want.Modified.UnixMilli():
		return m.failed(ReasonStale, fmt.Errorf("%s was written at %d there and at %d in the source",
			f.Path, f.Modified, want.Modified.UnixMilli()))
	}
	return nil
}

func (m *mount) rememberFile(e source.Entry, f *wire.FileInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := keyOf(e)
	size := f.Footprint()
	if m.known[key] != nil || size > knownBytes {
		return
	}
	for len(m.order) == knownFiles || m.bytes+size > knownBytes {
		m.dropFile(m.order[0])
	}
	m.order = append(m.order, key)
	m.known[key] = f
	m.bytes += size
}

// forgetFile has Alluxio asked for a file again.
func (m *mount) forgetFile(e source.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropFile(keyOf(e))
}

func (m *mount) dropFile(key knownKey) {
	f := m.known[key]
	if f == nil {
		return
	}
	m.bytes -= f.Footprint()
	delete(m.known, key)
	m.order = slices.DeleteFunc(m.order, func(k knownKey) bool { return k == key })
}

// isOriginal reports whether the URL that Alluxio has for a file is that of the source's.
// S3 has several names for one scheme; an HDFS may stand in it by any of its namenodes, or
// by the name of a service, which has no port.
func isOriginal(got string, want source.Original) bool {
	scheme, rest, ok := strings.Cut(got, "://")
	wantScheme, wantRest, _ := strings.Cut(want.URL, "://")
	if !ok {
		return false
	}
	if scheme == "s3a" || scheme == "s3n" {
		scheme = "s3"
	}
	host, path, _ := strings.Cut(rest, "/")
	wantHost, wantPath, _ := strings.Cut(wantRest, "/")
	sameHost := host == wantHost || slices.Contains(want.Hosts, host) || want.Hosts != nil && !hasPort(host)
	return scheme == wantScheme && sameHost && strings.TrimLeft(path, "/") == wantPath
}

func hasPort(host string) bool {
	u, err := url.Parse("//" + host)
	if err != nil {
		return false
	}
	_, err = strconv.Atoi(u.Port())
	return err == nil
}
