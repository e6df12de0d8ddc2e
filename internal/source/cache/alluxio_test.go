// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

func TestFilesOfAnotherPlaceAreNotTheSourcesFiles(t *testing.T) {
	bucket := source.Original{URL: "s3://models/a/b"}
	hdfs := source.Original{URL: "hdfs://nn1:8020/a/b", Hosts: []string{"nn1:8020", "nn2:8020"}}
	for _, c := range []struct {
		got  string
		want source.Original
		same bool
	}{
		{"s3://models/a/b", bucket, true},
		{"s3a://models/a/b", bucket, true},
		{"s3://other/a/b", bucket, false},
		{"s3://models/a/c", bucket, false},
		{"s3://models/x/a/b", bucket, false},
		{"/models/a/b", bucket, false},
		{"hdfs://models/a/b", bucket, false},
		{"hdfs://nn1:8020/a/b", hdfs, true},
		{"hdfs://nn2:8020/a/b", hdfs, true},
		{"hdfs://service/a/b", hdfs, true},
		{"hdfs://nn3:8020/a/b", hdfs, false},
		{"hdfs://nn1:8020/a", hdfs, false},
		{"", hdfs, false},
	} {
		if got := isOriginal(c.got, c.want); got != c.same {
			t.Errorf("%s for %s: %t", c.got, c.want.URL, got)
		}
	}
}
