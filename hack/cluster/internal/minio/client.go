// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package minio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// atOnce is how many files of a tree are under way together.
const atOnce = 8

// onePiece is how much of standard input is held in memory at most.
const onePiece = 16 << 20

// Client moves files in and out of a server.
type Client struct{ s3 *miniogo.Client }

// NewClient returns a client; it does not connect yet.
func NewClient(a Access) (*Client, error) {
	s3, err := miniogo.New(a.Address, &miniogo.Options{
		Creds: credentials.NewStaticV4(a.User, a.Password, ""),
		// No proxy: the server is on this machine.
		Transport:    &http.Transport{MaxIdleConnsPerHost: atOnce, DisableCompression: true},
		BucketLookup: miniogo.BucketLookupPath,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to MinIO: %w", err)
	}
	return &Client{s3: s3}, nil
}

func (c *Client) makeBucket(ctx context.Context, bucket string) error {
	err := c.s3.MakeBucket(ctx, bucket, miniogo.MakeBucketOptions{})
	var response miniogo.ErrorResponse
	if errors.As(err, &response) && response.Code == "BucketAlreadyOwnedByYou" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making bucket %s: %w", bucket, err)
	}
	return nil
}

// Put stores what body gives as one object, making the bucket when needed.
func (c *Client) Put(ctx context.Context, bucket, key string, body io.Reader, size int64) error {
	if err := c.makeBucket(ctx, bucket); err != nil {
		return err
	}
	if _, err := c.s3.PutObject(ctx, bucket, key, body, size, miniogo.PutObjectOptions{}); err != nil {
		return fmt.Errorf("storing %s/%s: %w", bucket, key, err)
	}
	return nil
}

// PutTree stores all files below dir under prefix and returns how many there
// were and their sizes together.
func (c *Client) PutTree(ctx context.Context, bucket, prefix, dir string) (files int, size int64, err error) {
	if err := c.makeBucket(ctx, bucket); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	walkErr := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		files, size = files+1, size+info.Size()
		all.Go(func() {
			defer func() { <-slots }()
			key := path.Join(prefix, filepath.ToSlash(rel))
			if _, err := c.s3.FPutObject(ctx, bucket, key, file, miniogo.PutObjectOptions{}); err != nil {
				cancel(fmt.Errorf("storing %s/%s: %w", bucket, key, err))
			}
		})
		return nil
	})
	all.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return 0, 0, cause
	}
	if walkErr != nil {
		return 0, 0, fmt.Errorf("storing %s: %w", dir, walkErr)
	}
	return files, size, nil
}

// Remove removes one object, or with recursive all whose key starts with key.
func (c *Client) Remove(ctx context.Context, bucket, key string, recursive bool) (int, error) {
	if !recursive {
		if err := c.s3.RemoveObject(ctx, bucket, key, miniogo.RemoveObjectOptions{}); err != nil {
			return 0, fmt.Errorf("removing %s/%s: %w", bucket, key, err)
		}
		return 1, nil
	}
	n := 0
	objects := make(chan miniogo.ObjectInfo)
	listed := make(chan error, 1)
	go func() {
		defer close(objects)
		for o := range c.s3.ListObjects(ctx, bucket, miniogo.ListObjectsOptions{Prefix: key, Recursive: true}) {
			if o.Err != nil {
				listed <- o.Err
				return
			}
			n++
			objects <- o
		}
		listed <- nil
	}()
	var problems []error
	for r := range c.s3.RemoveObjects(ctx, bucket, objects, miniogo.RemoveObjectsOptions{}) {
		problems = append(problems, fmt.Errorf("removing %s/%s: %w", bucket, r.ObjectName, r.Err))
	}
	problems = append(problems, <-listed)
	return n, errors.Join(problems...)
}

// List prints the buckets, or the objects of one whose key starts with prefix.
func (c *Client) List(ctx context.Context, bucket, prefix string, out io.Writer) error {
	if bucket == "" {
		buckets, err := c.s3.ListBuckets(ctx)
		if err != nil {
			return fmt.Errorf("listing buckets: %w", err)
		}
		for _, b := range buckets {
			fmt.Fprintln(out, b.Name)
		}
		return nil
	}
	for o := range c.s3.ListObjects(ctx, bucket, miniogo.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return fmt.Errorf("listing %s: %w", bucket, o.Err)
		}
		fmt.Fprintf(out, "%12d  %s  %s  %s\n", o.Size, o.LastModified.UTC().Format(time.RFC3339), o.ETag, o.Key)
	}
	return nil
}

// PutFile stores the file at path, or what comes on in when path is "-".
func (c *Client) PutFile(ctx context.Context, bucket, key, path string, in io.Reader) error {
	if path == "-" {
		// What fits is stored in one piece, as a file of its size would be: an
		// object in parts has another kind of ETag.
		head, err := io.ReadAll(io.LimitReader(in, onePiece))
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if len(head) < onePiece {
			return c.Put(ctx, bucket, key, bytes.NewReader(head), int64(len(head)))
		}
		return c.Put(ctx, bucket, key, io.MultiReader(bytes.NewReader(head), in), -1)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("storing %s/%s: %w", bucket, key, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("storing %s/%s: %w", bucket, key, err)
	}
	return c.Put(ctx, bucket, key, f, info.Size())
}
