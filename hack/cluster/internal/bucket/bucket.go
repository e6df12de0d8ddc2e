// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
	"github.com/kuda-io/kuda/hack/cluster/internal/storage"
)

// Endpoints is what a client needs to know.
type Endpoints struct {
	// Endpoint is http://host:port. Buckets are in the path.
	Endpoint  string `json:"endpoint"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
	Region    string `json:"region"`
	Bucket    string `json:"bucket"`
}

// region is what clients sign with; the servers take any.
const region = "us-east-1"

// Parse reads the settings accessKey, secretKey and bucket of a server that is to
// listen on host:port.
func Parse(given map[string]string, address string) (Endpoints, error) {
	e := Endpoints{Endpoint: "http://" + address, AccessKey: "kuda-test", SecretKey: "kuda-test-secret", Region: region, Bucket: "kuda"}
	known := map[string]*string{"accessKey": &e.AccessKey, "secretKey": &e.SecretKey, "bucket": &e.Bucket}
	for name, value := range given {
		field, ok := known[name]
		if !ok {
			return e, fmt.Errorf("there is no setting %q, only accessKey, secretKey and bucket", name)
		}
		if strings.TrimSpace(value) == "" {
			return e, fmt.Errorf("the setting %s is empty", name)
		}
		*field = value
	}
	if err := s3utils.CheckValidBucketNameStrict(e.Bucket); err != nil {
		return e, fmt.Errorf("the bucket %q cannot be made: %w", e.Bucket, err)
	}
	return e, nil
}

// StartLimit is how long a server may take to start; some seconds is usual.
const StartLimit = 3 * time.Minute

// Serve runs a server of S3 as a storage.Run does: start starts its processes, and may
// change the keys. It is ready with its bucket and the files of the options.
func Serve(ctx context.Context, o storage.Options, e Endpoints, ready func(any) error,
	start func(context.Context, *storage.Processes, *Endpoints) error) error {
	return storage.Serve(ctx, o.Dir, func(ctx context.Context, p *storage.Processes) error {
		if err := start(ctx, p, &e); err != nil {
			return err
		}
		if err := e.make(ctx, o.Content); err != nil {
			return err
		}
		return ready(e)
	})
}

// make waits for the server, makes the bucket and stores the files of the directory
// content in it, if that is not "".
func (e Endpoints) make(ctx context.Context, content string) error {
	client, err := miniogo.New(strings.TrimPrefix(e.Endpoint, "http://"), &miniogo.Options{
		Creds:        credentials.NewStaticV4(e.AccessKey, e.SecretKey, ""),
		Region:       e.Region,
		BucketLookup: miniogo.BucketLookupPath,
		MaxRetries:   1,
	})
	if err != nil {
		return err
	}
	err = poll.Until(ctx, StartLimit, func(ctx context.Context) error {
		err := client.MakeBucket(ctx, e.Bucket, miniogo.MakeBucketOptions{})
		var answer miniogo.ErrorResponse
		if errors.As(err, &answer) && answer.StatusCode < 500 {
			return poll.Fatal{Err: err}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("making the bucket %s: %w", e.Bucket, err)
	}
	if content == "" {
		return nil
	}
	return filepath.WalkDir(content, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		key, err := filepath.Rel(content, file)
		if err != nil {
			return err
		}
		// Ceph takes no empty object whose content is signed piece by piece.
		o := miniogo.PutObjectOptions{DisableContentSha256: true}
		if _, err := client.FPutObject(ctx, e.Bucket, filepath.ToSlash(key), file, o); err != nil {
			return fmt.Errorf("storing %s: %w", key, err)
		}
		return nil
	})
}
