// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
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

func TestWhatAMasterSaysOfFilesIsRememberedWithinAFixedMemory(t *testing.T) {
	m := &mount{known: map[knownKey]*wire.FileInfo{}}
	remember := func(n, size int) {
		m.rememberFile(source.Entry{Key: strconv.Itoa(n)}, &wire.FileInfo{Fingerprint: strings.Repeat("x", size)})
	}
	for n := range 3 * knownFiles {
		remember(n, 1<<20)
	}
	if len(m.known) == 0 || len(m.known) != len(m.order) || m.bytes > knownBytes {
		t.Errorf("%d files of %d bytes are known", len(m.known), m.bytes)
	}
	remember(-1, 2*knownBytes)
	for n := range 3 * knownFiles {
		remember(n, 10)
	}
	if len(m.known) != knownFiles || m.bytes > knownFiles*1024 {
		t.Errorf("%d files of %d bytes are known", len(m.known), m.bytes)
	}
	for n := range 3 * knownFiles {
		m.forgetFile(source.Entry{Key: strconv.Itoa(n)})
	}
	if len(m.known) != 0 || len(m.order) != 0 || m.bytes != 0 {
		t.Errorf("%d files of %d bytes are left", len(m.known), m.bytes)
	}
}
