// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

const streamed = `{"format":1,"key":{"source":"s","path":"p","version":"v"},"digest":"xxh3:00","bytes":3,"files":2,` +
	`"entries":[{"path":"a","size":1,"mode":420},{"path":"b","size":2,"mode":420}]}`

func TestEntriesAreReadOneByOne(t *testing.T) {
	var got []string
	m, err := DecodeEntries(strings.NewReader(streamed), func(e Entry) error {
		got = append(got, e.Path)
		return nil
	})
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" || err != nil || m.Digest != "xxh3:00" {
		t.Errorf("%v, %v (-want +got):\n%s", m, err, diff)
	}
	stop := errors.New("enough")
	if _, err := DecodeEntries(strings.NewReader(streamed), func(Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ended with %v", err)
	}
}

func TestAFailingDiskIsNoDamage(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader(streamed[:60]), iotest.ErrReader(broken))
	for name, read := range map[string]func() error{
		"header":  func() error { _, err := DecodeHeader(r); return err },
		"entries": func() error { _, err := DecodeEntries(r, func(Entry) error { return nil }); return err },
	} {
		if err := read(); !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAHostileManifestTakesLittleMemory(t *testing.T) {
	endless := func(prefix string) io.Reader { return io.MultiReader(strings.NewReader(prefix), zeros{}) }
	for _, prefix := range []string{`{"format":1,"key":{"source":"`, `{"format":1,"entries":[{"path":"`, `{"format":1,"later":"`} {
		if _, err := DecodeEntries(endless(prefix), func(Entry) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	var many strings.Builder
	many.WriteString(`{"format":1,"bytes":0,"files":20000,"entries":[`)
	for i := range 20000 {
		if i > 0 {
			many.WriteByte(',')
		}
		fmt.Fprintf(&many, `{"path":"%08d","size":0,"mode":420}`, i)
	}
	many.WriteString("]}")
	count := 0
	if _, err := DecodeEntries(strings.NewReader(many.String()), func(Entry) error { count++; return nil }); err != nil || count != 20000 {
		t.Errorf("%d entries: %v", count, err)
	}
}

// zeros is an endless text.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
