// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/kuda-io/kuda/internal/source"
)

// Open opens a range with If-Match, and checks what comes back against the
// listing too, for services that ignore the header.
//
// An object that was overwritten or deleted since is opened by its version,
// where the bucket keeps versions and the credentials may read them. The version
// is asked for only then, because that takes a permission of its own
// (s3:GetObjectVersion).
func (s *Source) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	key, version := splitVersion(e.Key)
	r := byteRange{offset: offset, length: length}
	if body := s.openEarly(ctx, e, r); body != nil {
		return body, nil
	}
	body, err := s.openObject(ctx, e, key, "", r)
	gone := errors.Is(err, source.ErrChanged) || isNotFound(err)
	if !gone || version == "" {
		return body, err
	}
	old, oldErr := s.openObject(ctx, e, key, version, r)
	if oldErr == nil || source.Temporary(oldErr) || ctx.Err() != nil {
		return old, oldErr
	}
	return nil, err
}

// byteRange is a part of an object.
type byteRange struct{ offset, length int64 }

// wholeOf reports whether it is the whole of an object.
func (r byteRange) wholeOf(size int64) bool { return r.offset == 0 && r.length == size }

// openObject opens a range of an object, or of one version of it.
func (s *Source) openObject(ctx context.Context, e source.Entry, key, version string, r byteRange) (io.ReadCloser, error) {
	op := "reading " + s.identity + "/" + key
	options, err := getOptions(e, version, r)
	if err != nil {
		return nil, &source.Error{Op: op, Class: source.ErrMisconfigured, Err: err}
	}
	ctx, hint := withHint(ctx)
	var opened io.ReadCloser
	err = s.callWithRetry(ctx, func(client minio.Core) error {
		body, info, header, err := client.GetObject(ctx, s.bucket, key, options)
		if err != nil {
			return err
		}
		if err := s.checkAnswer(ctx, e, info, header, r); err != nil {
			body.Close()
			return &source.Error{Op: op, Class: source.ErrChanged, Err: err}
		}
		opened = source.NewReader(ctx, op, body, r.length)
		return nil
	})
	if err != nil {
		return nil, hint.applyRetryAfter(s.classifyError(ctx, op, err))
	}
	return opened, nil
}

func getOptions(e source.Entry, version string, r byteRange) (options minio.GetObjectOptions, err error) {
	options.VersionID = version
	if e.Identity.Strong() {
		if err := options.SetMatchETag(strings.Trim(string(e.Identity), `"`)); err != nil {
			return options, err
		}
	}
	if !r.wholeOf(e.Size) {
		return options, options.SetRange(r.offset, r.offset+r.length-1)
	}
	return options, nil
}

func (s *Source) checkAnswer(ctx context.Context, e source.Entry, info minio.ObjectInfo, header nethttp.Header, r byteRange) error {
	if got := entryIdentity(info); got != e.Identity && e.Identity != "" {
		return fmt.Errorf("it is %s now, and was %s when it was listed", got, e.Identity)
	}
	// Services round the time, some this way and some that.
	if now := lastModified(info); !e.Modified.IsZero() && !info.LastModified.IsZero() && now.Sub(e.Modified).Abs() > time.Second {
		return fmt.Errorf("it was written at %s, and when it was listed at %s", now.UTC(), e.Modified.UTC())
	}
	if !r.wholeOf(e.Size) && header.Get("Content-Range") == "" && (info.Size == e.Size || info.Size < 0) {
		if !s.whole.Swap(true) {
			source.Note(ctx, s.identity+" was asked for a part of an object and sent all of it; its objects are read as a whole from now on")
		}
		return errors.New("the service does not send parts of objects, so that it is to be read as a whole")
	}
	if info.Size >= 0 && info.Size != r.length {
		return fmt.Errorf("the service answered with %d bytes instead of %d", info.Size, r.length)
	}
	if r.wholeOf(e.Size) {
		return nil
	}
	want := fmt.Sprintf("bytes %d-%d/%d", r.offset, r.offset+r.length-1, e.Size)
	if got := header.Get("Content-Range"); got != want {
		return fmt.Errorf("the service answered with the range %q instead of %q", got, want)
	}
	return nil
}
