// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

// driver does what its functions do.
type driver struct {
	list  func(yield func(source.Entry, error) bool)
	open  func() (io.ReadCloser, error)
	close func() error
}

func (d driver) Identity() string { return "driver://" }
func (d driver) Close() error     { return d.close() }

func (d driver) List(context.Context, string) iter.Seq2[source.Entry, error] { return d.list }

func (d driver) Open(context.Context, source.Entry, int64, int64) (io.ReadCloser, error) {
	return d.open()
}

func names(t *testing.T, d driver) (got []string, err error) {
	t.Helper()
	for e, err := range Check(d).List(t.Context(), "item") {
		if err != nil {
			return got, err
		}
		got = append(got, e.Path)
	}
	return got, nil
}

func TestEntriesOutsideTheContractEndTheListing(t *testing.T) {
	good := source.Entry{Path: "a", Size: 3, Identity: `"1"`, Checksum: "md5:" + strings.Repeat("0", 32)}
	for name, change := range map[string]func(*source.Entry){
		"negative size":       func(e *source.Entry) { e.Size = -1 },
		"greatest size":       func(e *source.Entry) { e.Size = math.MaxInt64 },
		"link with bytes":     func(e *source.Entry) { e.Link = "b" },
		"long path":           func(e *source.Entry) { e.Path = strings.Repeat("a", maxText+1) },
		"long key":            func(e *source.Entry) { e.Key = strings.Repeat("a", maxText+1) },
		"long identity":       func(e *source.Entry) { e.Identity = source.Identity(strings.Repeat("a", maxIdentity+1)) },
		"identity of 2 lines": func(e *source.Entry) { e.Identity = "a\nb" },
		"short sum":           func(e *source.Entry) { e.Checksum = "md5:00" },
		"sum in capitals":     func(e *source.Entry) { e.Checksum = "md5:" + strings.Repeat("A", 32) },
		"sum of two words":    func(e *source.Entry) { e.Checksum = "new:1 2" },
		"the item itself":     func(e *source.Entry) { e.Path = "" },
	} {
		bad := good
		bad.Path = "b"
		change(&bad)
		got, err := names(t, driver{list: func(yield func(source.Entry, error) bool) {
			_ = yield(good, nil) && yield(bad, nil) && yield(good, nil)
		}})
		if !errors.Is(err, source.ErrMisconfigured) || len(got) != 1 {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	unknown := good
	unknown.Checksum = "blake3:anything"
	if _, err := names(t, driver{list: func(yield func(source.Entry, error) bool) { yield(unknown, nil) }}); err != nil {
		t.Errorf("an unknown algorithm: %v", err)
	}
}

func TestErrorsGetAClassAndPanicsBecomeErrors(t *testing.T) {
	plain := errors.New("some")
	_, err := names(t, driver{list: func(yield func(source.Entry, error) bool) { yield(source.Entry{}, plain) }})
	if !errors.Is(err, source.ErrTemporary) || !errors.Is(err, plain) {
		t.Errorf("got %v", err)
	}
	_, err = names(t, driver{list: func(func(source.Entry, error) bool) { panic("a fault") }})
	if fault, ok := errors.AsType[*source.PanicError](err); !ok || fault.Value != "a fault" {
		t.Errorf("got %v", err)
	}
	if err := Check(driver{close: func() error { panic("a fault") }}).Close(); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
	if _, err := Check(driver{open: func() (io.ReadCloser, error) { panic("a fault") }}).Open(t.Context(), source.Entry{Size: 1}, 0,
		1); !errors.Is(err, source.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}

// What the consumer of a listing does is not the driver's fault.
func TestPanicOfTheConsumerPropagates(t *testing.T) {
	defer func() {
		if recover() != "the consumer's" {
			t.Error("the consumer's panic was taken for the driver's")
		}
	}()
	for _, err := range Check(driver{list: func(yield func(source.Entry, error) bool) {
		yield(source.Entry{Path: "a"}, nil)
	}}).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		panic("the consumer's")
	}
}

// A driver that goes on after its consumer stopped panics in the language's own
// way; the consumer is not called again then.
func TestEntriesAfterTheConsumerStoppedAreDropped(t *testing.T) {
	seen := 0
	for _, err := range Check(driver{list: func(yield func(source.Entry, error) bool) {
		yield(source.Entry{Path: "a"}, nil)
		yield(source.Entry{Path: "b"}, nil)
	}}).List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("saw %d entries", seen)
	}
}

func TestBodiesHaveExactlyTheBytesThatWereAskedFor(t *testing.T) {
	for body, class := range map[string]error{"": source.ErrTemporary, "ab": source.ErrTemporary, "abc": nil, "abcd": source.ErrChanged} {
		s := Check(driver{open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }})
		r, err := s.Open(t.Context(), source.Entry{Size: 3}, 0, 3)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if class == nil && (err != nil || string(text) != body) || class != nil && !errors.Is(err, class) {
			t.Errorf("%q: got %q, %v", body, text, err)
		}
	}
	for _, r := range [][2]int64{{-1, 1}, {0, 0}, {3, 1}, {0, 4}, {math.MaxInt64, 1}, {1, math.MaxInt64}} {
		if _, err := Check(driver{}).Open(t.Context(), source.Entry{Size: 3}, r[0], r[1]); !errors.Is(err, source.ErrChanged) {
			t.Errorf("range %v: got %v", r, err)
		}
	}
}
