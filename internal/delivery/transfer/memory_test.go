// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/source"
)

// memory is a source of whatever entries a test makes up.
type memory struct {
	objects map[string]object // by key
	sent    atomic.Int64
}

type object struct {
	source.Entry // but for Path, Key and Size
	content      []byte
	denied       bool
}

func (m *memory) Identity() string { return "memory://" }
func (m *memory) Close() error     { return nil }

func (m *memory) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(m.objects)) {
			name, ok := strings.CutPrefix(key, strings.Trim(path, "/"))
			if !ok || name != "" && name[0] != '/' {
				continue
			}
			e := m.objects[key].Entry
			e.Path, e.Key, e.Size = strings.TrimPrefix(name, "/"), key, int64(len(m.objects[key].content))
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memory) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	if m.objects[e.Key].denied {
		return nil, &source.Error{Op: "reading " + e.Key, Class: source.ErrDenied}
	}
	m.sent.Add(length)
	body := io.NopCloser(bytes.NewReader(m.objects[e.Key].content[offset : offset+length]))
	return source.NewReader(ctx, "reading "+e.Key, body, length), nil
}

// put stores an object whose identity is its own, with a checksum of a kind.
func (m *memory) put(key string, content []byte, kind digest.Kind) {
	if m.objects == nil {
		m.objects = map[string]object{}
	}
	e := source.Entry{Identity: source.Identity(fmt.Sprintf("%q", key+fmt.Sprint(len(content)))), Checksum: checksum(kind, content)}
	m.objects[key] = object{Entry: e, content: content}
}

func checksum(kind digest.Kind, content []byte) string {
	switch kind {
	case digest.SHA256:
		return fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	case digest.MD5:
		return fmt.Sprintf("md5:%x", md5.Sum(content))
	case md5Tag:
		return fmt.Sprintf("md5-tag:%x-3", md5.Sum(content))
	case "":
		return ""
	}
	crc := digest.CRCOf(kind)
	return crc.Text(crc.Update(0, content))
}

// newMemory is newBench with a source in memory.
func newMemory(t *testing.T) (*bench, *memory) {
	t.Helper()
	m := &memory{}
	b := &bench{source: m}
	b.store, b.engine = openEngine(t, t.TempDir())
	return b, m
}

var checksumKinds = []digest.Kind{digest.SHA256, digest.CRC32C, digest.CRC64NVME, digest.MD5}

func TestFilesThatMatchTheirChecksumsAreDelivered(t *testing.T) {
	b, m := newMemory(t)
	want := map[string]string{}
	for _, kind := range append(checksumKinds, md5Tag, "") {
		for _, size := range []int{0, 1, 5000, smallBytes, smallBytes + 1, 9<<20 + 3} {
			for _, weak := range []string{"", "W/"} {
				name := fmt.Sprintf("%s-%d-%s", kind, size, strings.TrimSuffix(weak, "/"))
				m.put("tree/"+name, noise(uint32(len(want)), size), kind)
				o := m.objects["tree/"+name]
				o.Identity = source.Identity(weak) + o.Identity
				m.objects["tree/"+name] = o
				want[name] = string(o.content)
			}
		}
	}
	if diff := cmp.Diff(want, files(t, b.mustDeliver(t, b.key("tree", "1")).Lease)); diff != "" {
		t.Errorf("(-want +got):\n%.500s", diff)
	}
}

func TestChecksumMismatchNamesTheFileAndBothSums(t *testing.T) {
	for _, kind := range checksumKinds {
		for _, size := range []int{1, 5000, smallBytes + 1, 20<<20 + 3} {
			if kind == digest.MD5 && size > smallBytes {
				continue
			}
			for _, weak := range []bool{false, true} {
				b, m := newMemory(t)
				content := noise(3, size)
				m.put("tree/f", content, kind)
				content[size-1] ^= 1
				if weak {
					o := m.objects["tree/f"]
					o.Identity = "W/1"
					m.objects["tree/f"] = o
				}
				_, err := b.deliver(t.Context(), b.key("tree", "1"))
				want, got := m.objects["tree/f"].Checksum, checksum(kind, content)
				if e, ok := asMismatch(err); !ok || e.Path != "f" || e.Want != want || e.Got != got {
					t.Errorf("%s of %d bytes, weak %v: got %v", kind, size, weak, err)
				}
				if size < digest.BlockSize {
					continue
				}
				// Nothing of it may be taken for good the next time.
				content[size-1] ^= 1
				result := b.mustDeliver(t, b.key("tree", "1"))
				if files(t, result.Lease)["f"] != string(content) || result.Reused != 0 {
					t.Errorf("%s of %d bytes: %d bytes were reused", kind, size, result.Reused)
				}
			}
		}
	}
}

func TestMD5OfLargeFilesIsComparedOnRequest(t *testing.T) {
	for limit, want := range map[int64]bool{-1: false, 0: false, 1 << 30: true} {
		b, m := newMemory(t)
		b.engine = New(Options{Store: b.store, MD5Bytes: limit})
		content := noise(3, 9<<20)
		m.put("f", content, digest.MD5)
		content[0]++
		_, err := b.deliver(t.Context(), b.key("f", "1"))
		if _, got := asMismatch(err); got != want {
			t.Errorf("%d: got %v", limit, err)
		}
	}
}

// What an interrupted delivery left has no CRC in the journal: it is read back.
func TestACRCIsRightForAFileThatGoesOn(t *testing.T) {
	b, m := newMemory(t)
	content := noise(3, 40<<20)
	m.put("f", content, digest.CRC32C)
	key := b.key("f", "1")
	_, w, err := b.store.Acquire(t.Context(), key, func() {})
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.Root().Create(snapshot.FileName)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(snapshot.FileName, int64(len(content)), entryState(m.objects["f"].Entry)); err != nil {
		t.Fatal(err)
	}
	for _, index := range []int{0, 3} {
		block := content[index*digest.BlockSize : (index+1)*digest.BlockSize]
		if _, err := out.WriteAt(block, int64(index*digest.BlockSize)); err != nil {
			t.Fatal(err)
		}
		if err := w.Block(snapshot.FileName, index, digest.BlockSum(block)); err != nil {
			t.Fatal(err)
		}
	}
	out.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	result := b.mustDeliver(t, key)
	if files(t, result.Lease)[snapshot.FileName] != string(content) || result.Reused != 2*digest.BlockSize {
		t.Errorf("%d bytes were reused", result.Reused)
	}
}
