// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// List yields the object at path, or those below path + "/". A path that is
// empty or ends with a slash is a prefix only. A tree costs a request per thousand
// objects; a path without a slash at its end costs a HEAD, a GET of its first bytes
// and a listing, which are asked for at once (early.go).
func (s *Source) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		key := strings.TrimPrefix(path, "/")
		op := "listing " + s.identity + "/" + key
		if key == "" || strings.HasSuffix(key, "/") {
			s.listTree(ctx, op, key, yield)
			return
		}
		if source.IsOneAtATime(ctx) {
			if entry, err := s.statObject(ctx, key); !isNotFound(err) {
				yield(entry, err)
				return
			}
			s.listTree(ctx, op, key+"/", yield)
			return
		}
		tree := s.listAhead(ctx, op, key+"/")
		defer tree.stopListing()
		if entry, err := s.statEarly(ctx, key); !isNotFound(err) {
			tree.stopListing()
			yield(entry, err)
			return
		}
		for entry, err := range tree.allEntries() {
			if !yield(entry, err) {
				return
			}
		}
	}
}

// listTree yields the objects below prefix, without directory markers.
func (s *Source) listTree(ctx context.Context, op, prefix string, yield func(source.Entry, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, hint := withHint(withPages(ctx))
	options := minio.ListObjectsOptions{Prefix: prefix, Recursive: true, FetchOwner: new(bool)}
	found := false
	for retried := false; ; retried = true {
		used := s.signing.Load()
		var failed error
		for info := range used.client.ListObjectsIter(ctx, s.bucket, options) {
			if info.Err != nil {
				failed = info.Err
				break
			}
			found = true
			options.StartAfter = info.Key
			if strings.HasSuffix(info.Key, "/") && info.Size == 0 {
				continue
			}
			e, err := s.listedEntry(op, prefix, info)
			if err != nil {
				yield(source.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if failed == nil {
			break
		}
		if retried || !s.prepareRetry(ctx, used, failed) {
			yield(source.Entry{}, hint.applyRetryAfter(s.classifyError(ctx, op, failed)))
			return
		}
	}
	if err := context.Cause(ctx); err != nil {
		yield(source.Entry{}, source.Wrap(ctx, op, err))
		return
	}
	if !found && prefix != "" {
		yield(source.Entry{}, &source.Error{Op: op, Class: source.ErrNotFound,
			Err: fmt.Errorf("the bucket %s has no object of that name, and none below it; check remotePath", s.bucket)})
	}
}

// listedEntry returns the entry of a listed object.
func (s *Source) listedEntry(op, prefix string, info minio.ObjectInfo) (source.Entry, error) {
	path, below := strings.CutPrefix(info.Key, prefix)
	if !below {
		return source.Entry{}, &source.Error{Op: op, Class: source.ErrTemporary,
			Err: fmt.Errorf("the service lists %q, which is not below %q: it listed something else than it was asked for", info.Key, prefix)}
	}
	e := s.newEntry(path, info)
	if path == "" {
		// The object whose name is the directory's. It has bytes, so it is no
		// marker, and as a file it would have no name.
		e.Path = "/"
		e.Fault = &source.InvalidPathError{Name: info.Key, Reason: fmt.Sprintf("it has %d bytes and the name of the directory itself", info.Size)}
	}
	return e, nil
}

// statObject asks for one object, and on the way for what is known of its bytes: the
// service says it for nothing, and listings do not have it.
func (s *Source) statObject(ctx context.Context, key string) (source.Entry, error) {
	e, _, err := s.headObject(ctx, key)
	return e, err
}

// headObject is statObject, which also reports whether the object's ETag is made of its
// bytes.
func (s *Source) headObject(ctx context.Context, key string) (e source.Entry, tagOfBytes bool, err error) {
	var options minio.StatObjectOptions
	options.Set("X-Amz-Checksum-Mode", "ENABLED")
	ctx, hint := withHint(ctx)
	before := s.signing.Load()
	err = s.callWithRetry(ctx, func(client minio.Core) error {
		info, err := client.StatObject(ctx, s.bucket, key, options)
		if err != nil {
			return err
		}
		info.Key = key
		if info.Size <= 0 {
			// Some services, and proxies before them, give HEAD no length, or none
			// that is true.
			if info.Size, err = s.measureSize(ctx, client, info); err != nil {
				return err
			}
		}
		e = s.newEntry("", info)
		e.Key = withVersion(key, info.VersionID)
		e.Checksum = cmp.Or(objectChecksum(info), e.Checksum)
		tagOfBytes = !isEncrypted(info)
		return nil
	})
	if err != nil {
		if used := s.signing.Load(); used == before {
			err = s.withReason(ctx, used.client, key, err)
		}
		return source.Entry{}, false, hint.applyRetryAfter(s.classifyError(ctx, "reading the head of "+s.identity+"/"+key, err))
	}
	return e, tagOfBytes, nil
}

func (s *Source) newEntry(path string, info minio.ObjectInfo) source.Entry {
	return source.Entry{Path: path, Key: info.Key, Size: info.Size, Identity: entryIdentity(info), Checksum: tagSum(info),
		Modified: lastModified(info), NoRanges: s.whole.Load()}
}

// lastModified is when the object was written, in seconds: a HEAD has no more.
func lastModified(info minio.ObjectInfo) time.Time { return info.LastModified.Truncate(time.Second) }

// entryIdentity is the ETag. A service that gives none leaves the modification time,
// whose resolution of a second proves nothing. The version is no part of it:
// the same bytes stored again are to be known as the same.
func entryIdentity(info minio.ObjectInfo) source.Identity {
	if info.ETag != "" {
		return source.Identity(strconv.Quote(info.ETag))
	}
	return source.Identity("W/" + info.LastModified.UTC().Format("20060102T150405"))
}

// versionMark stands between an object's key and its version in an Entry's Key.
const versionMark = "\x00"

func withVersion(key, version string) string {
	if version == "" {
		return key
	}
	return key + versionMark + version
}

func splitVersion(entryKey string) (key, version string) {
	key, version, _ = strings.Cut(entryKey, versionMark)
	return key, version
}
