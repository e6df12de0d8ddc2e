// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entriesOf is a tree as S3 lists one.
func entriesOf(count int) []Entry {
	list := make([]Entry, 0, count)
	for i := range count {
		h := fmt.Sprintf("%032x", uint64(i)*0x9e3779b97f4a7c15)
		list = append(list, Entry{Path: fmt.Sprintf("train/part-%04d/image-%07d.jpg", i/100, i), Size: int64(i) * 137, Mode: 0o644,
			Digest: "xxh3:" + h, Identity: `"` + h + `"`, Modified: 1_700_000_000_000_000_000 + int64(i)*1_000_003})
	}
	return list
}

func TestPackedEntriesAreThoseThatWerePacked(t *testing.T) {
	list := append([]Entry{
		{Path: "a", Digest: "xxh3:00ff", Identity: `"ABCD"`},
		{Path: "a/b", Digest: "sha256:0", Identity: `W/"x"`, Link: "../a", Modified: -1},
		{Path: "a/c", Digest: ":", Identity: `"`, Mode: 0o7777, Size: 1 << 62},
		{Path: "b", Digest: `""`, Identity: `"00"`},
		{Path: "c", Digest: "00", Identity: `v1:00"`, Modified: 1 << 62},
		{Path: "d", Identity: `"0011-7"`, Modified: -1 << 62},
	}, entriesOf(300)...)
	p := &Packed{}
	for _, e := range list {
		p.appendEntry(e)
	}
	if diff := cmp.Diff(list, p.Entries()); diff != "" {
		t.Errorf("(-in +out):\n%s", diff)
	}
	for i, want := range list {
		if diff := cmp.Diff(want, p.At(i)); diff != "" {
			t.Errorf("entry %d (-in +out):\n%s", i, diff)
		}
	}
	for range p.All() {
		break // an iterator may be left
	}
}

func TestPackedEntriesAreFoundByTheirPaths(t *testing.T) {
	for _, count := range []int{0, 1, groupSize, groupSize + 1, 300} {
		p := &Packed{}
		for i := range count {
			if err := p.Add(Entry{Path: fmt.Sprintf("f%03d", 2*i), Size: int64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := -1; i <= 2*count; i++ {
			e, number, ok := p.Find(fmt.Sprintf("f%03d", i))
			if want := i >= 0 && i%2 == 0 && i/2 < count; ok != want || (want && (number != i/2 || e.Size != int64(i/2))) {
				t.Errorf("number %d of %d: got %+v, %d, %t", i, count, e, number, ok)
			}
		}
		for _, other := range []string{"", "f", "g", "f0000"} {
			if e, _, ok := p.Find(other); ok {
				t.Errorf("%q of %d: got %+v", other, count, e)
			}
		}
	}
}

func TestALeaseTakesLittleMemoryPerFile(t *testing.T) {
	const count, most = 10_000, 64
	p := &Packed{}
	for _, e := range entriesOf(count) {
		p.appendEntry(e)
	}
	if per := cap(p.out.Bytes) / count; per > most+most/4 {
		t.Errorf("%d bytes per file", per)
	}
	if per := len(p.out.Bytes) / count; per > most {
		t.Errorf("%d bytes per file", per)
	}
}

func BenchmarkUnpack100kEntries(b *testing.B) {
	p := &Packed{}
	for _, e := range entriesOf(100_000) {
		p.appendEntry(e)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := p.Entries(); len(got) != 100_000 {
			b.Fatal(len(got))
		}
	}
	b.ReportMetric(float64(len(p.out.Bytes))/100_000, "B/file")
}
