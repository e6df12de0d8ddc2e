// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/digest"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/source"
)

// by is a key with another principal, and another way.
func (b *bench) by(path, version, way, principal string) snapshot.Key {
	key := b.key(path, version)
	key.Way, key.Principal = way, principal
	return key
}

func TestAnotherPrincipalsFilesAreSharedOnceTheyAreRead(t *testing.T) {
	b, m := newMemory(t)
	m.put("tree/a", noise(1, 3<<20), "")
	m.put("tree/b", noise(2, 1000), "")
	m.put("tree/empty", nil, "")
	b.mustDeliver(t, b.by("tree", "1", "", "alice"))
	m.sent.Store(0)
	result := b.mustDeliver(t, b.by("tree", "1", "", "bob"))
	if result.Received != 0 || m.sent.Load() != 2 {
		t.Errorf("%d bytes were received and %d asked for, want a byte of each file", result.Received, m.sent.Load())
	}
	if len(files(t, result.Lease)) != 3 {
		t.Error("files are missing")
	}
	if err := b.store.Verify(t.Context(), result.Lease.ID(), true); err != nil {
		t.Error(err)
	}
}

func TestWhoMayNotReadAFileDoesNotGetAnothers(t *testing.T) {
	b, m := newMemory(t)
	m.put("tree/a", noise(1, 3<<20), digest.SHA256)
	m.put("tree/b", noise(2, 1000), digest.SHA256)
	b.mustDeliver(t, b.by("tree", "1", "", "alice"))
	o := m.objects["tree/a"]
	o.denied = true
	m.objects["tree/a"] = o
	for _, principal := range []string{"", "bob"} {
		key := b.by("tree", "1", "", principal)
		if _, err := b.deliver(t.Context(), key); !errors.Is(err, source.ErrDenied) {
			t.Errorf("principal %q: got %v", principal, err)
		}
		var plan []Planned
		err := b.engine.Plan(t.Context(), NewRequest(b.source, key, nil), func(p Planned) { plan = append(plan, p) })
		if !errors.Is(err, source.ErrDenied) {
			t.Errorf("principal %q: the plan is %+v, %v", principal, plan, err)
		}
	}
}

// Who knows the sum of a private file, and may list what is at another path, must
// not get the file's bytes for it.
func TestASumAloneDoesNotGetAnothersBytes(t *testing.T) {
	for _, kind := range []digest.Kind{digest.SHA256, digest.MD5, md5Tag} {
		b, m := newMemory(t)
		secret := noise(1, 2<<20)
		m.put("private/f", secret, kind)
		b.mustDeliver(t, b.by("private", "1", "", "alice"))
		m.put("mine/f", noise(2, 2<<20), "")
		o := m.objects["mine/f"]
		o.Checksum = checksum(kind, secret)
		m.objects["mine/f"] = o
		for _, key := range []snapshot.Key{b.by("mine", "1", "", ""), b.by("mine", "1", "", "bob"), b.by("mine", "1", "proxy=http://own", "bob"),
			b.by("private", "1", "proxy=http://own", "bob"), b.by("private", "1", "proxy=http://own", "")} {
			if key.Path == "private" {
				// The bytes that the own proxy has, under the sum of the private ones.
				o.Identity = m.objects["private/f"].Identity
				m.objects["private/f"] = o
			}
			result, err := b.deliver(t.Context(), key)
			if kind == digest.SHA256 {
				if _, ok := asMismatch(err); !ok {
					t.Errorf("%s, %+v: got %v", kind, key, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if files(t, result.Lease)["f"] == string(secret) {
				t.Errorf("%s, %+v: the private bytes were delivered", kind, key)
			}
			closeLease(t, result.Lease)
		}
	}
}

func TestBytesOfAnotherOriginAreNotReused(t *testing.T) {
	for _, kind := range []digest.Kind{digest.SHA256, digest.MD5, md5Tag, ""} {
		b, m := newMemory(t)
		right, forged := noise(1, 2<<20), noise(2, 2<<20)
		m.put("tree/f", right, kind)
		honest := m.objects["tree/f"]
		// A server on the other way may say anything.
		lie := honest
		lie.content = forged
		if kind == digest.SHA256 {
			lie.Checksum = checksum(digest.SHA256, forged)
		}
		m.objects["tree/f"] = lie
		b.mustDeliver(t, b.by("tree", "1", "proxy=http://author", ""))
		m.objects["tree/f"] = honest
		result := b.mustDeliver(t, b.by("tree", "1", "", ""))
		if got := files(t, result.Lease)["f"]; got != string(right) || result.Reused != 0 {
			t.Errorf("%s: the forged bytes were delivered, or %d bytes reused", kind, result.Reused)
		}
	}
}

// A server of one's own states the SHA-256 of another's file for a file that is in
// the store already: the promise must not get into a manifest unseen.
func TestAPromiseThatWasNotComparedIsNotRemembered(t *testing.T) {
	b, m := newMemory(t)
	right, forged := noise(1, 2<<20), noise(2, 2<<20)
	m.put("tree/f", forged, "")
	b.mustDeliver(t, b.key("tree", "1"))
	o := m.objects["tree/f"]
	o.Checksum = checksum(digest.SHA256, right)
	m.objects["tree/f"] = o
	b.mustDeliver(t, b.key("tree", "2"))
	m.put("other/f", right, digest.SHA256)
	if got := files(t, b.mustDeliver(t, b.key("other", "1")).Lease)["f"]; got != string(right) {
		t.Error("the bytes are not those that were promised")
	}
}

func TestBytesThatMatchTheChecksumsAreSharedAcrossOrigins(t *testing.T) {
	for name, sum := range map[string]func([]byte) string{
		"sha256":       func(b []byte) string { return checksum(digest.SHA256, b) },
		"md5":          func(b []byte) string { return checksum(digest.MD5, b) },
		"tag":          func(b []byte) string { return fmt.Sprintf("md5-tag:%x", md5.Sum(b)) },
		"tag of parts": func(b []byte) string { return fmt.Sprintf("md5-tag:%x-2", partsSum(b, 16<<20)) },
	} {
		b, m := newMemory(t)
		content := noise(1, 20<<20)
		m.put("f", content, "")
		o := m.objects["f"]
		o.Checksum = sum(content)
		m.objects["f"] = o
		b.mustDeliver(t, b.by("f", "1", "ca=sha256:old", ""))
		result := b.mustDeliver(t, b.by("f", "1", "ca=sha256:new", "alice"))
		if result.Received != 0 || result.Reused != int64(len(content)) {
			t.Errorf("%s: %d bytes were received", name, result.Received)
		}
		if err := b.store.Verify(t.Context(), result.Lease.ID(), true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func partsSum(b []byte, size int) [16]byte {
	var sums []byte
	for len(b) > 0 {
		n := min(size, len(b))
		sum := md5.Sum(b[:n])
		sums = append(sums, sum[:]...)
		b = b[n:]
	}
	return md5.Sum(sums)
}

// An older release's store is on the same file system, and does not say how its
// bytes came.
func TestAnOlderReleasesFilesAreSharedIfTheirBytesProveRight(t *testing.T) {
	root := t.TempDir()
	b, m := newMemory(t)
	b.store, b.engine = openEngine(t, root)
	good, bad := noise(1, 3<<20), noise(2, 3<<20)
	m.put("tree/good", good, "")
	m.put("tree/bad", bad, "")
	m.put("tree/unknown", noise(3, 1<<20), "")
	for key, content := range map[string][]byte{"tree/good": good, "tree/bad": bad} {
		o := m.objects[key]
		o.Checksum = fmt.Sprintf("md5-tag:%x", md5.Sum(content))
		m.objects[key] = o
	}
	old := b.mustDeliver(t, b.key("tree", "1"))
	damaged := filepath.Join(old.Lease.Dir(), "bad")
	if err := os.WriteFile(damaged, noise(4, 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	closeLease(t, old.Lease)
	now, _ := openEngine(t, filepath.Join(root, "uid"))
	for _, direct := range []bool{false, true} {
		engine := New(Options{Store: now, Legacy: store.OpenLegacy(root)})
		r := NewRequest(b.source, b.by("tree", fmt.Sprint(direct), "", "alice"), nil)
		r.Direct = direct
		result, err := engine.Deliver(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if direct {
			want = int64(len(good))
		}
		if got := files(t, result.Lease); got["good"] != string(good) || got["bad"] != string(bad) || result.Reused != want {
			t.Errorf("direct %v: %d bytes were reused, want %d", direct, result.Reused, want)
		}
		if err := now.Verify(t.Context(), result.Lease.ID(), true); err != nil {
			t.Error(err)
		}
		closeLease(t, result.Lease)
		if _, err := now.Prune(0, false); err != nil {
			t.Fatal(err)
		}
	}
}
