// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1/sourcev1alpha1connect"
	"github.com/kuda-io/kuda/internal/source"
)

// fake is a plugin of which each test sets what it answers. It is made of what
// the protocol's generator makes, without the SDK: the driver must get on with
// plain gRPC.
type fake struct {
	info *sourcev1alpha1.InfoResponse
	open func() (*sourcev1alpha1.OpenResponse, error)
	list func(send func(...*sourcev1alpha1.Entry) error) error
	read func(r *sourcev1alpha1.ReadRequest, send func(*sourcev1alpha1.ReadResponse) error) error
}

func newFake() *fake {
	return &fake{
		info: &sourcev1alpha1.InfoResponse{Name: "fake", Version: "v1", Revision: 1},
		open: func() (*sourcev1alpha1.OpenResponse, error) {
			return &sourcev1alpha1.OpenResponse{Identity: "fake://here"}, nil
		},
	}
}

func (f *fake) Info(context.Context, *connect.Request[sourcev1alpha1.InfoRequest]) (*connect.Response[sourcev1alpha1.InfoResponse], error) {
	return connect.NewResponse(f.info), nil
}

func (f *fake) Open(context.Context, *connect.Request[sourcev1alpha1.OpenRequest]) (*connect.Response[sourcev1alpha1.OpenResponse], error) {
	answer, err := f.open()
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(answer), nil
}

func (f *fake) List(_ context.Context, _ *connect.Request[sourcev1alpha1.ListRequest],
	out *connect.ServerStream[sourcev1alpha1.ListResponse]) error {
	return f.list(func(entries ...*sourcev1alpha1.Entry) error {
		return out.Send(&sourcev1alpha1.ListResponse{Entries: entries})
	})
}

func (f *fake) Read(_ context.Context, r *connect.Request[sourcev1alpha1.ReadRequest],
	out *connect.ServerStream[sourcev1alpha1.ReadResponse]) error {
	return f.read(r.Msg, out.Send)
}

// serve serves a handler at a socket until the test ends, or stop is called.
func serve(t *testing.T, socket string, handler http.Handler) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	stop = func() { _ = server.Close(); <-done }
	t.Cleanup(stop)
	return stop
}

func (f *fake) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(sourcev1alpha1connect.NewSourceServiceHandler(f))
	return mux
}

// socketPath is short enough for a socket, which t.TempDir may not be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "plugin.sock")
}

// opened returns a source of the plugin.
func (f *fake) opened(t *testing.T) *Source {
	t.Helper()
	socket := socketPath(t)
	serve(t, socket, f.handler())
	s, err := New(t.Context(), Config{Name: "fake", Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func listed(s *Source, path string) (entries []source.Entry, err error) {
	for entry, err := range s.List(context.Background(), path) {
		if err != nil {
			return entries, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func isClass(t *testing.T, err, class error, parts ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got %v, want an error of the class %q", err, class)
		return
	}
	for _, part := range append(parts, "plugin fake") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestListingThatNeverEndsIsEnded(t *testing.T) {
	f := newFake()
	f.list = func(send func(...*sourcev1alpha1.Entry) error) error {
		batch := make([]*sourcev1alpha1.Entry, 10_000)
		for i := range batch {
			batch[i] = &sourcev1alpha1.Entry{Path: []byte("x")}
		}
		for {
			if err := send(batch...); err != nil {
				return err
			}
		}
	}
	s, count := f.opened(t), 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			isClass(t, err, source.ErrMisconfigured, "more than")
			break
		}
		count++
	}
	if count != maxEntries {
		t.Errorf("%d entries were taken", count)
	}
}

func TestInvalidEntriesAreRefused(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 20<<10)
	for name, entries := range map[string][]*sourcev1alpha1.Entry{
		"negative size": {{Path: []byte("a"), Size: -1}},
		"absurd size":   {{Path: []byte("a"), Size: 1 << 62}},
		"long path":     {{Path: long}},
		"long key":      {{Path: []byte("a"), Key: long}},
		"long identity": {{Path: []byte("a"), Identity: long}},
		"absurd sum":    manyLarge(),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.list = func(send func(...*sourcev1alpha1.Entry) error) error { return send(entries...) }
			_, err := listed(f.opened(t), "")
			isClass(t, err, source.ErrMisconfigured)
		})
	}
}

func manyLarge() []*sourcev1alpha1.Entry {
	entries := make([]*sourcev1alpha1.Entry, 2000)
	for i := range entries {
		entries[i] = &sourcev1alpha1.Entry{Path: []byte("x"), Size: 1 << 50}
	}
	return entries
}

func TestHostileNamesReachTheCallersCheckUnchanged(t *testing.T) {
	names := []string{"../../etc/passwd", "/etc/passwd", "a/../../b", "new\nline", "bad\xff"}
	f := newFake()
	f.list = func(send func(...*sourcev1alpha1.Entry) error) error {
		for _, name := range names {
			if err := send(&sourcev1alpha1.Entry{Path: []byte(name), Mode: 0o7777}); err != nil {
				return err
			}
		}
		return nil
	}
	entries, err := listed(f.opened(t), "")
	if err != nil || len(entries) != len(names) {
		t.Fatalf("got %d entries, %v", len(entries), err)
	}
	for i, e := range entries {
		if e.Path != names[i] || source.CheckPath(e.Path) == nil {
			t.Errorf("%q came as %q", names[i], e.Path)
		}
		if e.Mode != 0o777 {
			t.Errorf("%q has the mode %o: only permission bits are taken", names[i], e.Mode)
		}
	}
}

func TestOversizedMessagesAreRefused(t *testing.T) {
	f := newFake()
	f.read = func(r *sourcev1alpha1.ReadRequest, send func(*sourcev1alpha1.ReadResponse) error) error {
		return send(&sourcev1alpha1.ReadResponse{Data: make([]byte, 5<<20)})
	}
	_, err := contentOf(f.opened(t), 0, 5<<20)
	isClass(t, err, source.ErrMisconfigured)
}

// contentOf reads a range of a file of 10 MiB.
func contentOf(s *Source, offset, length int64) ([]byte, error) {
	body, err := s.Open(context.Background(), source.Entry{Key: "k", Size: 10 << 20}, offset, length)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func TestContentThatIsNotTheRangeIsRefused(t *testing.T) {
	chunk := func(offset int64, n int) *sourcev1alpha1.ReadResponse {
		return &sourcev1alpha1.ReadResponse{Offset: offset, Data: bytes.Repeat([]byte("d"), n)}
	}
	for name, c := range map[string]struct {
		answer []*sourcev1alpha1.ReadResponse
		want   error
		bytes  int
	}{
		"all of it":              {[]*sourcev1alpha1.ReadResponse{chunk(100, 500), chunk(600, 500)}, nil, 1000},
		"empty messages between": {[]*sourcev1alpha1.ReadResponse{{}, chunk(100, 500), {}, chunk(600, 500), {}}, nil, 1000},
		"nothing":                {nil, source.ErrTemporary, 0},
		"too little":             {[]*sourcev1alpha1.ReadResponse{chunk(100, 500), chunk(600, 499)}, source.ErrTemporary, 999},
		"a byte more":            {[]*sourcev1alpha1.ReadResponse{chunk(100, 500), chunk(600, 501)}, source.ErrMisconfigured, 500},
		"a message more":         {[]*sourcev1alpha1.ReadResponse{chunk(100, 1000), chunk(1100, 1)}, source.ErrMisconfigured, 1000},
		"the range ignored":      {[]*sourcev1alpha1.ReadResponse{chunk(0, 1000)}, source.ErrMisconfigured, 0},
		"a gap":                  {[]*sourcev1alpha1.ReadResponse{chunk(100, 500), chunk(700, 500)}, source.ErrMisconfigured, 500},
		"a part twice":           {[]*sourcev1alpha1.ReadResponse{chunk(100, 500), chunk(100, 500)}, source.ErrMisconfigured, 500},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.read = func(r *sourcev1alpha1.ReadRequest, send func(*sourcev1alpha1.ReadResponse) error) error {
				for _, m := range c.answer {
					if err := send(m); err != nil {
						return err
					}
				}
				return nil
			}
			got, err := contentOf(f.opened(t), 100, 1000)
			if len(got) != c.bytes {
				t.Errorf("got %d bytes", len(got))
			}
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			isClass(t, err, c.want)
		})
	}
}

// small reads into little memory: messages are then taken in parts.
type small struct{ io.Reader }

func (s small) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), 7)]) }

func TestMessagesLargerThanTheReadersMemoryAreWhole(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 1000)
	f := newFake()
	f.read = func(r *sourcev1alpha1.ReadRequest, send func(*sourcev1alpha1.ReadResponse) error) error {
		if err := send(&sourcev1alpha1.ReadResponse{Data: want[:4000]}); err != nil {
			return err
		}
		return send(&sourcev1alpha1.ReadResponse{Data: want[4000:], Offset: 4000})
	}
	body, err := f.opened(t).Open(t.Context(), source.Entry{Key: "k", Size: 10_000}, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(small{body}); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestErrorsKeepTheirClass(t *testing.T) {
	detailed := func(code connect.Code, d *sourcev1alpha1.ErrorDetail) error {
		err := connect.NewError(code, errors.New("cause"))
		detail, encodeErr := connect.NewErrorDetail(d)
		if encodeErr != nil {
			t.Fatal(encodeErr)
		}
		err.AddDetail(detail)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"not found":           {connect.NewError(connect.CodeNotFound, errors.New("cause")), source.ErrNotFound},
		"denied":              {connect.NewError(connect.CodePermissionDenied, errors.New("cause")), source.ErrDenied},
		"unauthenticated":     {connect.NewError(connect.CodeUnauthenticated, errors.New("cause")), source.ErrDenied},
		"throttled":           {connect.NewError(connect.CodeResourceExhausted, errors.New("cause")), source.ErrThrottled},
		"changed":             {connect.NewError(connect.CodeAborted, errors.New("cause")), source.ErrChanged},
		"unavailable":         {connect.NewError(connect.CodeUnavailable, errors.New("cause")), source.ErrUnreachable},
		"invalid":             {connect.NewError(connect.CodeInvalidArgument, errors.New("cause")), source.ErrMisconfigured},
		"failed precondition": {connect.NewError(connect.CodeFailedPrecondition, errors.New("cause")), source.ErrCredentials},
		"unknown":             {connect.NewError(connect.CodeUnknown, errors.New("cause")), source.ErrTemporary},
		"cancelled by itself": {connect.NewError(connect.CodeCanceled, errors.New("cause")), source.ErrTemporary},
		"the detail wins": {detailed(connect.CodeUnknown, &sourcev1alpha1.ErrorDetail{
			Class: sourcev1alpha1.ErrorClass_ERROR_CLASS_DENIED}), source.ErrDenied},
		"a class of the future": {detailed(connect.CodeNotFound, &sourcev1alpha1.ErrorDetail{Class: 99}), source.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.list = func(func(...*sourcev1alpha1.Entry) error) error { return c.err }
			f.read = func(*sourcev1alpha1.ReadRequest, func(*sourcev1alpha1.ReadResponse) error) error { return c.err }
			s := f.opened(t)
			_, err := listed(s, "there")
			isClass(t, err, c.want, "cause", `listing "there"`)
			_, err = s.Open(t.Context(), source.Entry{Key: "k", Size: 1}, 0, 1)
			isClass(t, err, c.want, "cause", `reading "k"`)
		})
	}
}

func TestTextsOfAPluginAreBoundedAndPrintable(t *testing.T) {
	f := newFake()
	f.list = func(func(...*sourcev1alpha1.Entry) error) error {
		err := connect.NewError(connect.CodeResourceExhausted, errors.New("\x1b[31m"+strings.Repeat("y", 10<<10)))
		detail, encodeErr := connect.NewErrorDetail(&sourcev1alpha1.ErrorDetail{RetryAfter: durationpb.New(1000 * time.Hour)})
		if encodeErr != nil {
			return encodeErr
		}
		err.AddDetail(detail)
		return err
	}
	_, err := listed(f.opened(t), "")
	isClass(t, err, source.ErrThrottled)
	if len(err.Error()) > 4<<10 || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%d bytes: %.200q", len(err.Error()), err)
	}
	if after := source.RetryAfter(err); after != time.Hour {
		t.Errorf("the pause is %v", after)
	}
}

func TestAnotherProtocolIsNamed(t *testing.T) {
	for name, info := range map[string]*sourcev1alpha1.InfoResponse{
		"none":  {Name: "fake", Version: "v9"},
		"newer": {Name: "fake", Version: "v9", Revision: 9, MinRuntimeRevision: 9},
	} {
		t.Run(name, func(t *testing.T) {
			f, socket := newFake(), socketPath(t)
			f.info = info
			serve(t, socket, f.handler())
			_, err := New(t.Context(), Config{Name: "fake", Socket: socket})
			isClass(t, err, source.ErrMisconfigured)
		})
	}
	t.Run("another service", func(t *testing.T) {
		socket := socketPath(t)
		serve(t, socket, http.NotFoundHandler())
		_, err := New(t.Context(), Config{Name: "fake", Socket: socket})
		isClass(t, err, source.ErrMisconfigured, "kuda.source.v1alpha1")
	})
}

func TestIdentitiesOfTwoPluginsNeverMeet(t *testing.T) {
	if got := newFake().opened(t).Identity(); got != "plugin:fake:fake://here" {
		t.Errorf("got %q", got)
	}
	for _, identity := range []string{"", strings.Repeat("x", 2000)} {
		f, socket := newFake(), socketPath(t)
		f.open = func() (*sourcev1alpha1.OpenResponse, error) {
			return &sourcev1alpha1.OpenResponse{Identity: identity}, nil
		}
		serve(t, socket, f.handler())
		_, err := New(t.Context(), Config{Name: "fake", Socket: socket})
		isClass(t, err, source.ErrMisconfigured)
	}
}

func TestSettingsThatCannotBeSentAreNamed(t *testing.T) {
	for name, c := range map[string]Config{
		"name":    {Name: "../fake", Socket: "/s"},
		"socket":  {Name: "fake"},
		"setting": {Name: "fake", Socket: "/s", Settings: map[string]string{"bad\xff": ""}},
	} {
		if _, err := New(t.Context(), c); !errors.Is(err, source.ErrMisconfigured) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRangesOutsideTheFileAreNotAskedFor(t *testing.T) {
	s := newFake().opened(t)
	for _, r := range [][2]int64{{-1, 1}, {0, -1}, {0, 11}, {5, 6}, {1 << 62, 1 << 62}} {
		_, err := s.Open(t.Context(), source.Entry{Key: "k", Size: 10}, r[0], r[1])
		isClass(t, err, source.ErrMisconfigured)
	}
}
