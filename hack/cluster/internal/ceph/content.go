// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceph

import (
	"context"
	"errors"
	"fmt"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/kuda-io/kuda/hack/cluster/internal/minio"
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
	s3, err := minio.NewClient(minio.Access{Address: address, User: user.accessKey, Password: user.secretKey})
	if err != nil {
		return err
	}
	_, _, err = s3.PutTree(ctx, user.bucket, "", content)
	return err
}
