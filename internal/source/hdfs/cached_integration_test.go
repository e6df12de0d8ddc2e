// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package hdfs

import (
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/kuda-io/kuda/internal/source/hdfs/hdfstest"
)

// The shared server has blocks of 128 MiB; that of this test, of 1 MiB.
func TestChecksumOfAFileIsThatOfItsBytes(t *testing.T) {
	server := hdfstest.Start(t, "block-size=1048576", "replication=2")
	s := open(t, ownersConfig(server))
	for _, size := range []int{1, 511, 512, 513, 1 << 20, 1<<20 + 1, 5<<20 + 12345} {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i * 7 / 3)
		}
		name := fmt.Sprintf("checksums/f%d", size)
		server.Put(t, name, content)
		for e, err := range s.List(t.Context(), name) {
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Prove(t.Context(), e)
			want := fmt.Sprintf("crc32c:%08x", crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))
			if err != nil || got != want {
				t.Errorf("%d bytes: got %s, %v; want %s", size, got, err, want)
			}
			if o := s.Original(e); o.URL != "hdfs://"+server.Addresses[0]+"/"+name || o.Modified.IsZero() {
				t.Errorf("original %+v", o)
			}
		}
	}
}
