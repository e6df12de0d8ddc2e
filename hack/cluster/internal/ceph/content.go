// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/hack/cluster/internal/poll"
)

// fill waits for the gateway, makes the bucket and stores the files of content.
func fill(ctx context.Context, address string, user userSettings, content string) error {
	client, err := miniogo.New(address, &miniogo.Options{
		Creds:        credentials.NewStaticV4(user.accessKey, user.secretKey, ""),
		Region:       region,
		BucketLookup: miniogo.BucketLookupPath,
		MaxRetries:   1,
	})
	if err != nil {
		return err
	}
	err = poll.Until(ctx, startLimit, func(ctx context.Context) error {
		err := client.MakeBucket(ctx, user.bucket, miniogo.MakeBucketOptions{})
		var answer miniogo.ErrorResponse
		if errors.As(err, &answer) && answer.StatusCode < 500 {
			return poll.Fatal{Err: err}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("making the bucket %s: %w", user.bucket, err)
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
		// RGW takes no empty object whose content is signed piece by piece.
		o := miniogo.PutObjectOptions{DisableContentSha256: true}
		if _, err := client.FPutObject(ctx, user.bucket, filepath.ToSlash(key), file, o); err != nil {
			return fmt.Errorf("storing %s: %w", key, err)
		}
		return nil
	})
}
