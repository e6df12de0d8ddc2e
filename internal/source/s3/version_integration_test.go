// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/s3/s3test"
	"github.com/kuda-io/kuda/internal/source/sourcetest/miniotest"
)

func TestVersionsOnMinIO(t *testing.T) { versions(t, startMinIO(t)) }

func TestVersionsOnCeph(t *testing.T) { versions(t, startCeph(t)) }

func TestVersionsOnMoto(t *testing.T) { versions(t, startOther(t, s3test.Moto)) }

func versions(t *testing.T, s service) {
	if err := s.admin.EnableVersioning(t.Context(), s.config.Bucket); err != nil {
		t.Fatal(err)
	}
	first, second := random(t, 100_000), random(t, 100_000)
	version := s.put(t, "tree/file", first)
	if version == "" {
		t.Fatal("the service gives no versions")
	}
	src := s.open(t)
	single := one(t, src, "tree/file")
	inTree := one(t, src, "tree/")
	if single.Identity != inTree.Identity {
		t.Errorf("the same object is %s by itself and %s in a tree", single.Identity, inTree.Identity)
	}
	reads := func(what string) {
		t.Helper()
		if got := readRange(t, src, single, 50_000, 50_000); !bytes.Equal(got, first[50_000:]) {
			t.Errorf("%s: other bytes than those that were listed", what)
		}
	}
	reads("before")
	s.put(t, "tree/file", second)
	reads("overwritten")
	if _, err := src.Open(t.Context(), inTree, 0, 10); !errors.Is(err, source.ErrChanged) {
		t.Errorf("overwritten, in a tree: got %v", err)
	}
	s.put(t, "tree/file", first)
	if again := one(t, src, "tree/file"); again.Identity != single.Identity {
		t.Error("the same bytes stored again have another identity")
	}

	s.remove(t, "tree/file", "")
	reads("deleted")
	for _, path := range []string{"tree/file", "tree/"} {
		if err := errorOf(t, src, path); !errors.Is(err, source.ErrNotFound) {
			t.Errorf("listing the deleted %s: got %v", path, err)
		}
	}
	s.remove(t, "tree/file", version)
	if _, err := src.Open(t.Context(), single, 0, 10); !errors.Is(err, source.ErrChanged) && !errors.Is(err, source.ErrNotFound) {
		t.Errorf("with its version removed: got %v", err)
	}
}

func TestChecksumsOnMinIO(t *testing.T) {
	s := startMinIO(t)
	content := random(t, 100_000)
	sha, crc := sha256.Sum256(content), crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	s.put(t, "sha256", content, stored("Sha256", sha[:]))
	s.put(t, "crc32c", content, stored("Crc32c", binary.BigEndian.AppendUint32(nil, crc)))
	checksums(t, s, content, map[string]string{"sha256": fmt.Sprintf("sha256:%x", sha), "crc32c": fmt.Sprintf("crc32c:%08x", crc)})
}

// An ETag in the form of an MD5 that is none would fail every delivery.
func TestEncryptedObjectsAreReadAndTheirTagsAreNoChecksums(t *testing.T) {
	s := minioService(t, miniotest.StartWith(t, miniotest.Options{Buckets: []string{bucket},
		Env: []string{"MINIO_KMS_SECRET_KEY=kuda:" + base64.StdEncoding.EncodeToString(random(t, 32))}}))
	content := random(t, 10_000)
	kms, err := encrypt.NewSSEKMS("kuda", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, with := range map[string]encrypt.ServerSide{"kms": kms, "s3": encrypt.NewSSE()} {
		s.put(t, name, content, minio.PutObjectOptions{ServerSideEncryption: with})
		src := s.open(t)
		entry := one(t, src, name)
		if sum := fmt.Sprintf("md5:%x", md5.Sum(content)); !strings.HasPrefix(entry.Checksum, "md5-tag:") && entry.Checksum != sum {
			t.Errorf("%s: promises %s of an object with %s", name, entry.Checksum, sum)
		}
		if got := readRange(t, src, entry, 1000, 9000); !bytes.Equal(got, content[1000:]) {
			t.Errorf("%s: read other bytes", name)
		}
		s.put(t, "tree-"+name+"/file", content, minio.PutObjectOptions{ServerSideEncryption: with})
		if got := readRange(t, src, one(t, src, "tree-"+name+"/"), 0, 10_000); !bytes.Equal(got, content) {
			t.Errorf("%s: read other bytes from a tree", name)
		}
	}
	if got := one(t, s.open(t), "kms"); !strings.HasPrefix(got.Checksum, "md5-tag:") {
		t.Errorf("kms: promises %s", got.Checksum)
	}
}

// stored is how an object is stored together with its checksum.
func stored(algorithm string, sum []byte) minio.PutObjectOptions {
	return minio.PutObjectOptions{UserMetadata: map[string]string{"X-Amz-Checksum-" + algorithm: base64.StdEncoding.EncodeToString(sum)}}
}

// This Ceph keeps no checksums but the ETag.
func TestChecksumsOnCeph(t *testing.T) { checksums(t, startCeph(t), random(t, 100_000), nil) }

func TestChecksumsOnMoto(t *testing.T) {
	checksums(t, startOther(t, s3test.Moto), random(t, 100_000), nil)
}

// The ETag of an object in parts is that of the whole.
func TestChecksumsOnS3Proxy(t *testing.T) {
	s := startOther(t, s3test.S3Proxy)
	checksums(t, s, random(t, 100_000), map[string]string{"parts": fmt.Sprintf("md5:%x", md5.Sum(parts))})
}

// parts are stored in two.
var parts = bytes.Repeat([]byte("parts!"), 1<<20)

func checksums(t *testing.T, s service, content []byte, want map[string]string) {
	s.put(t, "plain", content)
	// A checksum of the parts' checksums is not one of the object.
	s.put(t, "parts", parts, minio.PutObjectOptions{PartSize: 5 << 20})
	all := map[string]string{"plain": fmt.Sprintf("md5:%x", md5.Sum(content)), "parts": "md5-tag:"}
	maps.Copy(all, want)
	for name, want := range all {
		if got := one(t, s.open(t), name).Checksum; !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	// A listing does not tell which ETags are no MD5: they tell equal objects, and
	// nothing is checked by them.
	entries, err := collect(t, s.open(t), "")
	if err != nil || slices.ContainsFunc(entries, func(e source.Entry) bool { return !strings.HasPrefix(e.Checksum, "md5-tag:") }) {
		t.Errorf("a listing promises %+v, %v", entries, err)
	}
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// one lists a path with one file.
func one(t *testing.T, s *Source, path string) source.Entry {
	t.Helper()
	entries, err := collect(t, s, path)
	if err != nil || len(entries) != 1 {
		t.Fatalf("listing %s: got %+v, %v", path, entries, err)
	}
	return entries[0]
}

func readRange(t *testing.T, s *Source, e source.Entry, offset, length int64) []byte {
	t.Helper()
	body, err := s.Open(t.Context(), e, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
