// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/s3"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

const bucket = "models"

// openAs opens the bucket, and says what a snapshot of it is called by who opens it.
func openAs(t *testing.T, server *miniotest.Server, s *store.Store, keys *s3.Keys) (source.Source, snapshot.Key) {
	t.Helper()
	src, err := s3.New(s3.Config{Endpoint: server.URL(), Bucket: bucket, PathStyle: true, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	p, err := src.Provenance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	principal, err := s.Principal(p.Principal.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return src, snapshot.Key{Source: src.Identity(), Way: p.Way, Principal: principal, Path: "tree/", Version: "1"}
}

// listingOnly lets every caller list the bucket, and only callers with keys read it.
const listingOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:ListBucket"],` +
	`"Resource":["arn:aws:s3:::models"]}]}`

func TestPrivateObjectsGetToThoseWhoMayReadThem(t *testing.T) {
	server := miniotest.Start(t, bucket)
	if err := server.Client(t).SetBucketPolicy(t.Context(), bucket, listingOnly); err != nil {
		t.Fatal(err)
	}
	server.Put(t, bucket, "tree/a", noise(1, 3<<20))
	server.Put(t, bucket, "tree/dir/b", noise(2, 1000))
	s, engine := openEngine(t, t.TempDir())
	owner := &s3.Keys{AccessKey: miniotest.AccessKey, SecretKey: miniotest.SecretKey}
	deliver := func(keys *s3.Keys) (*Result, error) {
		src, key := openAs(t, server, s, keys)
		result, err := engine.Deliver(t.Context(), NewRequest(src, key, nil))
		if err == nil {
			t.Cleanup(func() { closeLease(t, result.Lease) })
		}
		return result, err
	}
	if _, err := deliver(owner); err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]*s3.Keys{"no keys": nil,
		"the access key alone": {AccessKey: miniotest.AccessKey, SecretKey: "guessed"}} {
		if _, err := deliver(keys); !errors.Is(err, source.ErrDenied) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// Keys of the same rights, as after a rotation.
	sts, err := credentials.NewSTSAssumeRole(server.URL(),
		credentials.STSAssumeRoleOptions{AccessKey: miniotest.AccessKey, SecretKey: miniotest.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	value, err := sts.GetWithContext(nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := deliver(&s3.Keys{AccessKey: value.AccessKeyID, SecretKey: source.Secret(value.SecretAccessKey),
		SessionToken: source.Secret(value.SessionToken)})
	if err != nil {
		t.Fatal(err)
	}
	if result.Received != 0 || len(files(t, result.Lease)) != 2 {
		t.Errorf("%d bytes were received", result.Received)
	}
}

// An object that was stored in parts has the MD5 of their MD5s as its tag.
func TestObjectsInPartsAreTakenOverFromAnOlderRelease(t *testing.T) {
	server := miniotest.Start(t, bucket)
	content := noise(1, 20<<20)
	for _, part := range []uint64{5 << 20, 8 << 20, 16 << 20} {
		_, err := server.Client(t).PutObject(context.Background(), bucket, fmt.Sprintf("tree/%d", part), bytes.NewReader(content),
			int64(len(content)),
			minio.PutObjectOptions{PartSize: part})
		if err != nil {
			t.Fatal(err)
		}
	}
	root := t.TempDir()
	old, oldEngine := openEngine(t, root)
	_, key := openAs(t, server, old, nil)
	reader, _ := openAs(t, server, old, &s3.Keys{AccessKey: miniotest.AccessKey, SecretKey: miniotest.SecretKey})
	before, err := oldEngine.Deliver(t.Context(), NewRequest(reader, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	closeLease(t, before.Lease)
	now, _ := openEngine(t, filepath.Join(root, "uid"))
	engine := New(Options{Store: now, Legacy: store.OpenLegacy(root)})
	reader, key = openAs(t, server, now, &s3.Keys{AccessKey: miniotest.AccessKey, SecretKey: miniotest.SecretKey})
	r := NewRequest(reader, key, nil)
	r.Direct = true
	result, err := engine.Deliver(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer closeLease(t, result.Lease)
	if result.Received != 0 || result.Reused != 3*int64(len(content)) {
		t.Errorf("%d bytes were received and %d reused", result.Received, result.Reused)
	}
}
