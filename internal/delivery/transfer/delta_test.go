// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

func asMismatch(err error) (*DigestMismatchError, bool) {
	return errors.AsType[*DigestMismatchError](err)
}

// A version in the path is the usual way to store models.
func TestUnchangedFilesUnderAnotherPathAreShared(t *testing.T) {
	for kind, shared := range map[digest.Kind]bool{
		digest.SHA256: true, digest.MD5: true, md5Tag: true,
		digest.CRC32C: false, digest.CRC64NVME: false, "": false,
	} {
		t.Run(string(kind), func(t *testing.T) {
			b, m := newMemory(t)
			shard, other := noise(1, 9<<20), noise(2, 3<<20)
			m.put("models/v1/a.bin", shard, kind)
			m.put("models/v1/b.bin", noise(3, 3<<20), kind)
			m.put("models/v2/renamed.bin", shard, kind)
			m.put("models/v2/b.bin", other, kind)
			b.mustDeliver(t, b.key("models/v1/", "1"))
			result := b.mustDeliver(t, b.key("models/v2", "2"))
			want := map[string]string{"renamed.bin": string(shard), "b.bin": string(other)}
			if diff := cmp.Diff(want, files(t, result.Lease)); diff != "" {
				t.Errorf("(-want +got):\n%.500s", diff)
			}
			received := int64(len(other))
			if !shared {
				received += int64(len(shard))
			}
			if result.Received != received {
				t.Errorf("%d bytes were received, want %d", result.Received, received)
			}
			if err := b.store.Verify(t.Context(), result.Lease.ID(), true); err != nil {
				t.Errorf("verifying: %v", err)
			}
		})
	}
}

// Two objects may have one entity tag by accident, such as one made of their
// times: only under the same key does it prove anything.
func TestAnEqualIdentityUnderAnotherKeyProvesNothing(t *testing.T) {
	b, m := newMemory(t)
	for i, key := range []string{"v1/f", "v2/f"} {
		m.put(key, noise(uint32(i), 5<<20), "")
		o := m.objects[key]
		o.Identity = `"same"`
		m.objects[key] = o
	}
	b.mustDeliver(t, b.key("v1", "1"))
	if got := files(t, b.mustDeliver(t, b.key("v2", "1")).Lease)["f"]; got != string(m.objects["v2/f"].content) {
		t.Error("the file is the one of the other key")
	}
}

func TestTheSameObjectIsSharedAmongItemsThatOverlap(t *testing.T) {
	b, m := newMemory(t)
	m.put("models/bert/weights", noise(1, 5<<20), "")
	m.put("models/gpt/weights", noise(2, 5<<20), "")
	b.mustDeliver(t, b.key("models", "1"))
	for _, path := range []string{"models/bert", "models/bert/weights", "/models/gpt/"} {
		if result := b.mustDeliver(t, b.key(path, "1")); result.Received != 0 {
			t.Errorf("%s: %d bytes were received", path, result.Received)
		}
	}
}

func TestAHarmedFileIsNotShared(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"written to": func(path string) error { return os.WriteFile(path, noise(9, 5<<20), 0o600) },
		"cut":        func(path string) error { return os.Truncate(path, 1000) },
		"deleted":    os.Remove,
		"replaced by a link": func(path string) error {
			return errors.Join(os.Rename(path, path+"x"), os.Symlink(filepath.Base(path)+"x", path))
		},
		"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
		"chmod":   func(path string) error { return os.Chmod(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			b, m := newMemory(t)
			content := noise(1, 5<<20)
			m.put("v1/f", content, digest.MD5)
			m.put("v2/f", content, digest.MD5)
			old := b.mustDeliver(t, b.key("v1", "1"))
			if err := harm(filepath.Join(old.Lease.Dir(), "f")); err != nil {
				t.Fatal(err)
			}
			result := b.mustDeliver(t, b.key("v2", "1"))
			if files(t, result.Lease)["f"] != string(content) || result.Received != int64(len(content)) {
				t.Errorf("%d bytes were received", result.Received)
			}
		})
	}
}

// An attacker may make two files with one MD5. A digest is compared with the
// bytes that are here, so it detects that, and the right ones are downloaded.
func TestADigestIsNotFooledByAForgedMD5(t *testing.T) {
	b, m := newMemory(t)
	good := noise(1, 5<<20)
	m.put("v1/f", noise(2, 5<<20), digest.MD5)
	m.put("v2/f", good, digest.MD5)
	forged := m.objects["v1/f"]
	forged.Checksum = m.objects["v2/f"].Checksum
	m.objects["v1/f"] = forged
	first, second := b.key("v1", "1"), b.key("v2", "1")
	first.Digest = treeSum(map[string]string{"f": string(forged.content)})
	second.Digest = treeSum(map[string]string{"f": string(good)})
	b.mustDeliver(t, first)
	if got := files(t, b.mustDeliver(t, second).Lease)["f"]; got != string(good) {
		t.Error("the file is the forged one")
	}
}

func TestSmallDeliveriesDoNotReadTheManifestsOfOthers(t *testing.T) {
	b, m := newMemory(t)
	m.put("a/f", noise(1, 1000), digest.MD5)
	m.put("b/f", noise(1, 1000), digest.MD5)
	b.mustDeliver(t, b.key("a", "1"))
	if result := b.mustDeliver(t, b.key("b", "1")); result.Reused != 0 {
		t.Errorf("%d bytes were reused", result.Reused)
	}
}

func TestTheNearestSnapshotsAreLookedThroughFirst(t *testing.T) {
	at := func(path string, used int64) store.Snapshot {
		return store.Snapshot{ID: snapshot.Key{Path: path}.ID(), Key: snapshot.Key{Source: "s", Path: path}, Used: time.Unix(used, 0)}
	}
	other := at("models/bert/v3", 9)
	other.Key.Source = "t"
	sha := at("models/bert/v3", 9)
	sha.Key.Digest = "sha256:0"
	list := relatedSnapshots([]store.Snapshot{at("x", 8), at("models/gpt/v1", 7), at("models/bert/v1", 1), at("models/bert/v2", 2),
		other, sha, at("y", 1)}, snapshot.Key{Source: "s", Path: "models/bert/v3"})
	var got []string
	for _, s := range list {
		got = append(got, s.snapshot.Key.Path)
	}
	if diff := cmp.Diff([]string{"models/bert/v2", "models/bert/v1", "models/gpt/v1", "x"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again := []store.Snapshot{at("v2", 5), at("v1", 1)}
	if list := relatedSnapshots(again, snapshot.Key{Source: "s", Path: "v1", Version: "2"}); list[0].snapshot.Key.Path != "v1" {
		t.Errorf("got %s before the path's own", list[0].snapshot.Key.Path)
	}
}

func TestStatesAreReadAsTheyWereWritten(t *testing.T) {
	sum := "md5:0123456789abcdef0123456789abcdef"
	for text, want := range map[string][2]string{
		"":                  {"", ""},
		`"tag"`:             {`"tag"`, ""},
		`"tag" ` + sum:      {`"tag"`, sum},
		`"a b"`:             {`"a b"`, ""},
		`"a b" ` + sum:      {`"a b"`, sum},
		" sha256:00":        {"", "sha256:00"},
		`"x" crc32c:abcdef`: {`"x" crc32c:abcdef`, ""},
	} {
		if identity, got := splitState(text); identity != want[0] || got != want[1] {
			t.Errorf("%q: got %q and %q", text, identity, got)
		}
	}
	for want, e := range map[string]source.Entry{
		"":             {Identity: "W/1", Checksum: sum},
		" sha256:00":   {Identity: "W/1", Checksum: "sha256:00"},
		`"t"`:          {Identity: `"t"`, Checksum: "crc32c:00000000"},
		`"t" ` + sum:   {Identity: `"t"`, Checksum: sum},
		`"t" sha256:0`: {Identity: `"t"`, Checksum: "sha256:0"},
	} {
		if got := entryState(e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A file whose identity is weak is known by its SHA-256 all the same.
func TestAPromisedSHA256MakesUpForAWeakIdentity(t *testing.T) {
	b, m := newMemory(t)
	m.put("v1/f", noise(1, 5<<20), digest.SHA256)
	m.put("v2/f", noise(1, 5<<20), digest.SHA256)
	for key, o := range maps.Clone(m.objects) {
		o.Identity = ""
		m.objects[key] = o
	}
	b.mustDeliver(t, b.key("v1", "1"))
	if result := b.mustDeliver(t, b.key("v2", "1")); result.Received != 0 {
		t.Errorf("%d bytes were received", result.Received)
	}
}
