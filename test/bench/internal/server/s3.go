// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"                 //nolint:depguard // stores what drivers are measured with
	"github.com/minio/minio-go/v7/pkg/credentials" //nolint:depguard // likewise
	"golang.org/x/sync/errgroup"

	"github.com/kuda-io/kuda/test/bench/internal/process"
)

// Keys and place of everything that is stored.
const (
	AccessKey = "kuda-bench"
	SecretKey = "kuda-bench-secret"
	Region    = "us-east-1"
	Bucket    = "bench"
)

// Objects above wholeBytes are stored in parts of partBytes, as large ones have
// to be. Smaller ones are stored whole, so that their ETag is an MD5 and every
// client can use it.
const (
	wholeBytes = 2 << 30
	partBytes  = 128 << 20
)

// S3 is a server that speaks S3.
type S3 struct {
	*process.Process
	// URL is http://host:port.
	URL string
	// Root is the directory of the server's data; of the light server, objects
	// are plain files below Root/Bucket.
	Root   string
	client *minio.Client
}

// MinIO starts a MinIO server whose data is below dir.
func MinIO(ctx context.Context, binary, dir string) (*S3, error) {
	console, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	return startS3(ctx, dir, "/minio/health/cluster", func(addr, root string) *exec.Cmd {
		cmd := exec.Command(binary, "server", "--quiet", "--address", addr, "--console-address", console, root)
		cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+AccessKey, "MINIO_ROOT_PASSWORD="+SecretKey,
			"MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME="+dir)
		return cmd
	})
}

// Light starts a versitygw server, which serves plain files below dir.
func Light(ctx context.Context, binary, dir string) (*S3, error) {
	return startS3(ctx, dir, "/", func(addr, root string) *exec.Cmd {
		return exec.Command(binary, "--port", addr, "--access", AccessKey, "--secret", SecretKey, "--region", Region,
			"--quiet", "--keep-alive", "posix", root)
	})
}

func startS3(ctx context.Context, dir, health string, command func(addr, root string) *exec.Cmd) (*S3, error) {
	addr, err := process.FreeAddr()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(dir, "data")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	p, err := process.Start(dir, "server", command(addr, root))
	if err != nil {
		return nil, err
	}
	s := &S3{Process: p, URL: "http://" + addr, Root: root}
	if err := p.Await(ctx, process.Answers(s.URL+health)); err != nil {
		return nil, err
	}
	s.client, err = newClient(addr)
	if err == nil {
		err = p.Await(ctx, func() error { return s.bucket(ctx) })
	}
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("making the bucket: %w", err)
	}
	return s, nil
}

// At returns the server as clients see it that reach it at another address,
// host:port: URLs are signed for that one. Stopping it stops the server.
func (s *S3) At(addr string) (*S3, error) {
	at := *s
	at.URL = "http://" + addr
	var err error
	if at.client, err = newClient(addr); err != nil {
		return nil, fmt.Errorf("reaching the server at %s: %w", addr, err)
	}
	return &at, nil
}

func newClient(addr string) (*minio.Client, error) {
	return minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Region: Region})
}

func (s *S3) bucket(ctx context.Context) error {
	err := s.client.MakeBucket(ctx, Bucket, minio.MakeBucketOptions{Region: Region})
	if code := minio.ToErrorResponse(err).Code; code == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return err
}

// PutTree stores every file below a directory under a prefix, "x/".
func (s *S3) PutTree(ctx context.Context, prefix, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		group.Go(func() error { return s.put(ctx, prefix+filepath.ToSlash(name), path) })
		return ctx.Err()
	})
	if err := errors.Join(err, group.Wait()); err != nil {
		return fmt.Errorf("storing %s: %w", prefix, err)
	}
	return nil
}

func (s *S3) put(ctx context.Context, key, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	o := minio.PutObjectOptions{DisableMultipart: info.Size() <= wholeBytes, PartSize: partBytes, NumThreads: 2}
	_, err = s.client.FPutObject(ctx, Bucket, key, path, o)
	return err
}

// Signed returns a URL that needs no credentials to read an object, for a day.
func (s *S3) Signed(ctx context.Context, key string) (string, error) {
	u, err := s.client.PresignedGetObject(ctx, Bucket, key, 24*time.Hour, url.Values{})
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", key, err)
	}
	return u.String(), nil
}

// Newest returns the time at which the last object under a prefix was stored.
func (s *S3) Newest(ctx context.Context, prefix string) (time.Time, error) {
	var newest time.Time
	for o := range s.client.ListObjects(ctx, Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return newest, fmt.Errorf("listing %s: %w", prefix, o.Err)
		}
		if !strings.HasSuffix(o.Key, "/") && o.LastModified.After(newest) {
			newest = o.LastModified
		}
	}
	return newest, nil
}
