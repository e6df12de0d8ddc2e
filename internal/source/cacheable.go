// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net/http"
	"time"
)

// Original is what tells that a cached file was made of the file that a source lists. It
// saves useless reads and proves nothing.
type Original struct {
	// URL names the file as a cache that has the storage system mounted does:
	// "s3://bucket/key", or "hdfs://host:port/path" with the first namenode.
	URL string
	// Hosts are all servers, host:port, that may stand in such a URL; nil where none
	// does.
	Hosts []string
	// Path of the file below the root of the source, without a slash before it.
	Path string
	// Tag is the file's entity tag, "" where there is none; Modified is then the time
	// that has to agree, to the millisecond.
	Tag      string
	Modified time.Time
}

// Cacheable is a Driver in front of which there may be a cache.
type Cacheable interface {
	Driver
	// Prove returns a checksum of the very file that was listed that can be compared
	// with its bytes: the entry's own where that is one, else one that the storage
	// system is asked for, else "". It may be of the algorithm md5-tag where the tag is
	// known to be made of the bytes. When the file is no longer that one, it fails with
	// ErrChanged or ErrNotFound.
	Prove(ctx context.Context, e Entry) (string, error)
}

// Mountable is a Cacheable that a cache may have mounted as a whole.
type Mountable interface {
	Cacheable
	// Original returns what a cached file is compared with.
	Original(e Entry) Original
}

// Proxied is a Cacheable whose files a caching HTTP proxy may have.
type Proxied interface {
	Cacheable
	// Request returns the request that gets a file through a proxy. It has no header
	// with credentials: what a proxy keeps is found by the URL.
	Request(ctx context.Context, e Entry) (*http.Request, error)
}
