// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package interop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/source"
	driver "github.com/kuda-io/kuda/internal/source/plugin"
	"github.com/kuda-io/kuda/plugin"
	"github.com/kuda-io/kuda/plugin/plugintest"
)

const service = "/kuda.source.v1alpha1.SourceService/"

var (
	content = bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	file    = source.Entry{Path: "dir/bad\xff", Key: "key", Size: int64(len(content)), Identity: "v1", Mode: 0o640}
)

// shelf is a source with one file; another path is throttled.
type shelf struct{}

func (shelf) Identity() string { return "shelf" }
func (shelf) Close() error     { return nil }

func (shelf) List(_ context.Context, path string) iter.Seq2[source.Entry, error] {
	return func(yield func(source.Entry, error) bool) {
		if path != "dir" {
			yield(source.Entry{}, &source.Error{Op: "listing it", Class: source.ErrThrottled, RetryAfter: 3 * time.Second,
				Err: errors.New("slowly")})
			return
		}
		yield(file, nil)
	}
}

func (shelf) Open(_ context.Context, _ source.Entry, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(content[offset : offset+length])), nil
}

func TestClientOfGRPCGoReadsFromAPlugin(t *testing.T) {
	socket := plugintest.Start(t, plugin.Options{Name: "shelf", Version: "v1",
		Open: func(context.Context, plugin.Config) (plugin.Source, error) { return shelf{}, nil }})
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var info sourcev1alpha1.InfoResponse
	// The socket may not be there yet.
	if err := conn.Invoke(t.Context(), service+"Info", &sourcev1alpha1.InfoRequest{}, &info, grpc.WaitForReady(true)); err != nil ||
		info.GetName() != "shelf" {
		t.Fatalf("Info: %v, %v", &info, err)
	}
	list, err := stream(t, conn, "List", &sourcev1alpha1.ListRequest{Path: []byte("dir")})
	if err != nil {
		t.Fatal(err)
	}
	var entries sourcev1alpha1.ListResponse
	if err := list.RecvMsg(&entries); err != nil || len(entries.GetEntries()) != 1 {
		t.Fatalf("List: %v, %v", &entries, err)
	}
	read, err := stream(t, conn, "Read", &sourcev1alpha1.ReadRequest{Entry: entries.GetEntries()[0], Offset: 7, Length: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		var chunk sourcev1alpha1.ReadResponse
		if err = read.RecvMsg(&chunk); err != nil {
			break
		}
		got = append(got, chunk.GetData()...)
	}
	if !errors.Is(err, io.EOF) || !bytes.Equal(got, content[7:1_000_007]) {
		t.Errorf("Read: %d bytes, %v", len(got), err)
	}
	list, err = stream(t, conn, "List", &sourcev1alpha1.ListRequest{Path: []byte("elsewhere")})
	if err == nil {
		err = list.RecvMsg(&entries)
	}
	answer := status.Convert(err)
	if answer.Code() != codes.ResourceExhausted || len(answer.Details()) != 1 {
		t.Fatalf("got %v", err)
	}
	detail, ok := answer.Details()[0].(*sourcev1alpha1.ErrorDetail)
	if !ok || detail.GetRetryAfter().AsDuration() != 3*time.Second || detail.GetOperation() != "listing it" {
		t.Errorf("got %v", answer.Details())
	}
}

func stream(t *testing.T, conn *grpc.ClientConn, call string, request any) (grpc.ClientStream, error) {
	t.Helper()
	s, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, service+call)
	if err == nil {
		err = errors.Join(s.SendMsg(request), s.CloseSend())
	}
	return s, err
}

// unary and streaming are what grpc-go's generator would make.
func unary[Req any](answer any) grpc.MethodHandler {
	return func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return answer, decode(new(Req))
	}
}

func streaming[Req any](name string, f func(r *Req, out grpc.ServerStream) error) grpc.StreamDesc {
	return grpc.StreamDesc{StreamName: name, ServerStreams: true, Handler: func(_ any, out grpc.ServerStream) error {
		r := new(Req)
		if err := out.RecvMsg(r); err != nil {
			return err
		}
		return f(r, out)
	}}
}

func list(r *sourcev1alpha1.ListRequest, out grpc.ServerStream) error {
	if string(r.GetPath()) != "dir" {
		answer, err := status.New(codes.ResourceExhausted, "slowly").WithDetails(
			&sourcev1alpha1.ErrorDetail{RetryAfter: durationpb.New(3 * time.Second)})
		if err != nil {
			return err
		}
		return answer.Err()
	}
	return out.SendMsg(&sourcev1alpha1.ListResponse{Entries: []*sourcev1alpha1.Entry{{
		Path: []byte(file.Path), Key: []byte(file.Key), Size: file.Size, Identity: []byte(file.Identity), Mode: uint32(file.Mode)}}})
}

func read(r *sourcev1alpha1.ReadRequest, out grpc.ServerStream) error {
	for offset, end := r.GetOffset(), r.GetOffset()+r.GetLength(); offset < end; {
		n := min(1<<20, end-offset)
		if err := out.SendMsg(&sourcev1alpha1.ReadResponse{Data: content[offset : offset+n], Offset: offset}); err != nil {
			return err
		}
		offset += n
	}
	return nil
}

func TestRuntimeReadsFromAPluginMadeWithGRPCGo(t *testing.T) {
	// t.TempDir may be longer than the path of a socket can be.
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "kuda.source.v1alpha1.SourceService",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			{MethodName: "Info", Handler: unary[sourcev1alpha1.InfoRequest](&sourcev1alpha1.InfoResponse{Name: "go", Version: "v1", Revision: 1})},
			{MethodName: "Open", Handler: unary[sourcev1alpha1.OpenRequest](&sourcev1alpha1.OpenResponse{Identity: "there"})},
		},
		Streams: []grpc.StreamDesc{streaming("List", list), streaming("Read", read)},
	}, struct{}{})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	s, err := driver.New(t.Context(), driver.Config{Name: "go", Socket: filepath.Join(dir, "s")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for entry, err := range s.List(t.Context(), "dir") {
		if err != nil || entry != file {
			t.Fatalf("listed %+v, %v", entry, err)
		}
	}
	body, err := s.Open(t.Context(), file, 7, file.Size-7)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content[7:]) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	for _, err := range s.List(t.Context(), "elsewhere") {
		if !errors.Is(err, source.ErrThrottled) || source.RetryAfter(err) != 3*time.Second {
			t.Errorf("got %v", err)
		}
	}
}
