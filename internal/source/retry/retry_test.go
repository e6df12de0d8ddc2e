// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package retry

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kuda-io/kuda/internal/source"
)

// script is a source whose calls fail as a test says.
type script struct {
	listings []listing
	bodies   []body
	opened   []int64 // offsets
}

type listing struct {
	paths []string
	err   error
	stall bool // after paths
}

type body struct {
	text  string
	err   error // after text
	stall bool
}

func (s *script) Identity() string { return "script" }
func (s *script) Close() error     { return nil }

func (s *script) List(ctx context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		l := s.listings[0]
		s.listings = s.listings[1:]
		for _, p := range l.paths {
			if !yield(source.Entry{Path: p}, nil) {
				return
			}
		}
		if l.stall {
			<-ctx.Done()
			l.err = source.Wrap(ctx, "listing", ctx.Err())
		}
		if l.err != nil {
			yield(source.Entry{}, l.err)
		}
	}
}

func (s *script) Open(ctx context.Context, e source.Entry, offset, length int64) (io.ReadCloser, error) {
	s.opened = append(s.opened, offset)
	b := s.bodies[0]
	s.bodies = s.bodies[1:]
	if b.text == "" && !b.stall {
		return nil, b.err
	}
	tail := io.Reader(failing{ctx, b})
	if b.err == nil && !b.stall {
		tail = strings.NewReader("")
	}
	return io.NopCloser(io.MultiReader(strings.NewReader(b.text), tail)), nil
}

type failing struct {
	ctx context.Context
	b   body
}

func (f failing) Read([]byte) (int, error) {
	if f.b.stall {
		<-f.ctx.Done()
		return 0, source.Wrap(f.ctx, "reading", f.ctx.Err())
	}
	return 0, f.b.err
}

var (
	errTemporary = &source.Error{Op: "testing", Class: source.ErrTemporary}
	errDenied    = &source.Error{Op: "testing", Class: source.ErrDenied}
	entry        = source.Entry{Key: "k", Size: 6, Identity: `"1"`}
)

func readAll(s source.Source, e source.Entry) (string, error) {
	body, err := s.Open(context.Background(), e, 0, e.Size)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}

func TestACutBodyGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{bodies: []body{{err: errTemporary}, {text: "ab", err: errTemporary}, {text: "cd", err: errTemporary}, {text: "ef"}}}
		text, err := readAll(New(s, Policy{Attempts: 2}), entry)
		if err != nil || text != "abcdef" {
			t.Errorf("got %q, %v", text, err)
		}
		if want := []int64{0, 0, 2, 4}; len(s.opened) != 4 || s.opened[3] != want[3] || s.opened[2] != want[2] {
			t.Errorf("opened at %v, want %v", s.opened, want)
		}
	})
}

func TestABodyOfAWeakIdentityIsNeverJoined(t *testing.T) {
	s := &script{bodies: []body{{text: "ab", err: errTemporary}, {text: "cdef"}}}
	weak := entry
	weak.Identity = `W/"1"`
	if _, err := readAll(New(s, Policy{}), weak); !errors.Is(err, source.ErrTemporary) {
		t.Errorf("got %v", err)
	}
}

func TestPermanentErrorsAreNotRetried(t *testing.T) {
	s := &script{bodies: []body{{err: errDenied}}}
	if _, err := readAll(New(s, Policy{}), entry); !errors.Is(err, source.ErrDenied) {
		t.Errorf("got %v", err)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{bodies: make([]body, 10)}
		for i := range s.bodies {
			s.bodies[i].err = errTemporary
		}
		if _, err := readAll(New(s, Policy{Attempts: 3}), entry); !errors.Is(err, source.ErrTemporary) || len(s.opened) != 3 {
			t.Errorf("got %v after %d attempts", err, len(s.opened))
		}
	})
}

func TestAStalledBodyIsCutAndResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{bodies: []body{{text: "abc", stall: true}, {text: "def"}}}
		started := time.Now()
		text, err := readAll(New(Watch(s, 5*time.Second), Policy{}), entry)
		if err != nil || text != "abcdef" {
			t.Errorf("got %q, %v", text, err)
		}
		if waited := time.Since(started); waited < 5*time.Second || waited > 6*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestASourceThatStallsForeverIsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{bodies: []body{{stall: true}, {stall: true}}}
		if _, err := readAll(New(Watch(s, 0), Policy{Attempts: 2}), entry); !errors.Is(err, source.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAStalledListingIsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{listings: []listing{{paths: []string{"a"}, stall: true}, {paths: []string{"a"}, stall: true}}}
		got, err := names(New(Watch(s, time.Second), Policy{Attempts: 2}))
		if !errors.Is(err, source.ErrUnreachable) || len(got) != 1 {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestASlowConsumerIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Watch(&script{listings: []listing{{paths: []string{"a", "b"}}}, bodies: []body{{text: "abcdef"}}}, time.Second)
		for _, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		body, err := s.Open(t.Context(), entry, 0, entry.Size)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		time.Sleep(time.Minute)
		if text, err := io.ReadAll(body); err != nil || string(text) != "abcdef" {
			t.Errorf("got %q, %v", text, err)
		}
	})
}

func TestASourceIsNotAskedBeforeItsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := &source.Error{Op: "testing", Class: source.ErrThrottled, RetryAfter: 20 * time.Second}
		s := &script{bodies: []body{{err: throttled}, {text: "abcdef"}}}
		started := time.Now()
		if _, err := readAll(New(s, Policy{}), entry); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(started); waited < 20*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func names(s source.Source) (got []string, err error) {
	for e, err := range s.List(context.Background(), "") {
		if err != nil {
			return got, err
		}
		got = append(got, e.Path)
	}
	return got, nil
}

func TestAListingThatBreaksOffGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{listings: []listing{{err: errTemporary}, {paths: []string{"a", "b"}, err: errTemporary}, {paths: []string{"a", "b", "c"}}}}
		got, err := names(New(s, Policy{}))
		if err != nil || strings.Join(got, "") != "abc" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestTwoListingsAreNeverJoined(t *testing.T) {
	for name, second := range map[string][]string{"other": {"a", "x", "c"}, "shorter": {"a"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{listings: []listing{{paths: []string{"a", "b"}, err: errTemporary}, {paths: second}}}
				if _, err := names(New(s, Policy{})); !errors.Is(err, source.ErrChanged) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A body that brings a byte now and then is ended like one that brings none,
// however often it is asked for again.
func TestASourceThatTricklesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Watch(&trickling{}, 0), Policy{Attempts: 3})
		started := time.Now()
		_, err := readAll(s, source.Entry{Key: "k", Size: 1 << 20, Identity: `"1"`})
		if !errors.Is(err, source.ErrUnreachable) || time.Since(started) > 5*time.Minute {
			t.Errorf("got %v after %v", err, time.Since(started))
		}
	})
}

// trickling brings a byte in ten seconds.
type trickling struct{ script }

func (trickling) Open(context.Context, source.Entry, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(slow{}), nil
}

type slow struct{}

func (slow) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Second)
	return copy(p, "x"), nil
}

// paging lists nothing for a long time, and shows that it is at work.
type paging struct{ script }

func (paging) List(ctx context.Context, _ string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		for range 100 {
			time.Sleep(20 * time.Second)
			source.Alive(ctx)
		}
		yield(source.Entry{Path: "last"}, nil)
	}
}

func TestAPageWithoutFilesIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for e, err := range New(Watch(&paging{}, 30*time.Second), Policy{}).List(t.Context(), "") {
			if err != nil || e.Path != "last" {
				t.Errorf("got %v, %v", e, err)
			}
		}
	})
}
