// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"
)

const (
	// treeFileSize is what "app serve --watch" expects of the files of a tree.
	treeFileSize = 64 << 10
	// largeSize makes a second download of an item stand out.
	largeSize = 8 << 20
)

func bucketOf(name string) string { return "upgrade-" + name }

const publicPolicy = `{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": ["arn:aws:s3:::%[1]s"]},
  {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::%[1]s/*"]}]}`

func (s Storage) makeBucket(ctx context.Context, bucket string, public bool) error {
	exists, err := s.Client.BucketExists(ctx, bucket)
	if err == nil && !exists {
		err = s.Client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
	}
	if err == nil && public {
		err = s.Client.SetBucketPolicy(ctx, bucket, fmt.Sprintf(publicPolicy, bucket))
	}
	if err != nil {
		return fmt.Errorf("making the bucket %s: %w", bucket, err)
	}
	return nil
}

// put stores a version of both DataSets: a tree of which every file says its
// version, and a large file.
func (s Storage) put(ctx context.Context, version string) error {
	last := version[len(version)-1:]
	file := []byte(version + "\n" + strings.Repeat(last, treeFileSize))
	objects := map[string][]byte{"tree/a.bin": file, "tree/sub/b.bin": file, "large.bin": bytes.Repeat([]byte(last), largeSize)}
	for _, bucket := range []string{bucketOf(Public), bucketOf(Private)} {
		for name, content := range objects {
			_, err := s.Client.PutObject(ctx, bucket, version+"/"+name, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{})
			if err != nil {
				return fmt.Errorf("storing %s/%s/%s: %w", bucket, version, name, err)
			}
		}
	}
	return nil
}
