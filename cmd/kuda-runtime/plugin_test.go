// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	sourcev1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/source/v1alpha1/sourcev1alpha1connect"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// envPlugin makes the test's binary be a plugin at this socket.
const envPlugin = "KUDA_TEST_PLUGIN"

// hostilePlugin does what the path of an item says. It is made of what the
// protocol's generator makes: the SDK would refuse most of it.
type hostilePlugin struct{}

// hostilePaths are the ways of misbehaving: what is listed at a path; and what comes
// as the content of a file there.
var hostilePaths = map[string]struct {
	list []*sourcev1alpha1.Entry
	read func(offset, length int64) []*sourcev1alpha1.ReadResponse
}{
	"a negative size":           {list: listOf("f", -1)},
	"the least size":            {list: listOf("f", math.MinInt64)},
	"the greatest size":         {list: listOf("f", math.MaxInt64)},
	"a size beyond the disk":    {list: listOf("f", 1<<50)},
	"two sizes of one file":     {list: append(listOf("f", 1), listOf("f", 2)...)},
	"an empty path in a tree":   {list: append(listOf("f", 1), listOf("", 1)...)},
	"two empty paths":           {list: append(listOf("", 1), listOf("", 2)...)},
	"a path that leaves":        {list: listOf("../../f", 1)},
	"a file that is a parent":   {list: append(listOf("f", 1), listOf("f/g", 1)...)},
	"an identity of two lines":  {list: []*sourcev1alpha1.Entry{{Path: []byte("f"), Size: 1, Identity: []byte("a\nb")}}},
	"a sum that is none":        {list: []*sourcev1alpha1.Entry{{Path: []byte("f"), Size: 1, Checksum: "sha256:none"}}},
	"a link with bytes":         {list: []*sourcev1alpha1.Entry{{Path: []byte("f"), Size: 1, Link: []byte("g")}}},
	"a body that ends early":    {list: listOf("f", 1000), read: func(o, n int64) []*sourcev1alpha1.ReadResponse { return chunks(o, n/2) }},
	"a body that goes on":       {list: listOf("f", 1000), read: func(o, n int64) []*sourcev1alpha1.ReadResponse { return chunks(o, n+1) }},
	"a body of another place":   {list: listOf("f", 1000), read: func(o, n int64) []*sourcev1alpha1.ReadResponse { return chunks(o+1, n) }},
	"no body":                   {list: listOf("f", 1000), read: func(int64, int64) []*sourcev1alpha1.ReadResponse { return nil }},
	"death while it lists":      {},
	"panic while it lists":      {},
	"death while it sends":      {list: listOf("f", 1000)},
	"death in a large file":     {list: listOf("f", 20<<20)},
	"nothing is listed at this": {list: []*sourcev1alpha1.Entry{}},
}

func listOf(path string, size int64) []*sourcev1alpha1.Entry {
	return []*sourcev1alpha1.Entry{{Path: []byte(path), Size: size, Identity: []byte("1")}}
}

// chunks are n bytes of a file, from an offset on.
func chunks(offset, n int64) (all []*sourcev1alpha1.ReadResponse) {
	for n > 0 {
		size := min(n, 256<<10)
		all = append(all, &sourcev1alpha1.ReadResponse{Offset: offset, Data: bytes.Repeat([]byte("x"), int(size))})
		offset, n = offset+size, n-size
	}
	return all
}

func (hostilePlugin) Info(context.Context,
	*connect.Request[sourcev1alpha1.InfoRequest]) (*connect.Response[sourcev1alpha1.InfoResponse], error) {
	return connect.NewResponse(&sourcev1alpha1.InfoResponse{Name: "hostile", Version: "v1", Revision: 1}), nil
}

func (hostilePlugin) Open(context.Context,
	*connect.Request[sourcev1alpha1.OpenRequest]) (*connect.Response[sourcev1alpha1.OpenResponse], error) {
	return connect.NewResponse(&sourcev1alpha1.OpenResponse{Identity: "hostile://here"}), nil
}

func (hostilePlugin) List(_ context.Context, r *connect.Request[sourcev1alpha1.ListRequest],
	out *connect.ServerStream[sourcev1alpha1.ListResponse]) error {
	path := string(r.Msg.GetPath())
	entries := hostilePaths[path].list
	if strings.HasPrefix(path, "good") {
		entries = listOf("", 4)
	}
	for _, e := range entries {
		e.Key = r.Msg.GetPath()
	}
	switch path {
	case "death while it lists":
		os.Exit(7)
	case "panic while it lists":
		go func() { panic("of the plugin") }()
		select {}
	}
	return out.Send(&sourcev1alpha1.ListResponse{Entries: entries})
}

func (hostilePlugin) Read(_ context.Context, r *connect.Request[sourcev1alpha1.ReadRequest],
	out *connect.ServerStream[sourcev1alpha1.ReadResponse]) error {
	path := string(r.Msg.GetEntry().GetKey())
	read := hostilePaths[path].read
	if read == nil {
		read = chunks
	}
	dies := strings.HasPrefix(path, "death")
	for _, m := range read(r.Msg.GetOffset(), r.Msg.GetLength()) {
		if dies {
			m.Data = m.Data[:len(m.Data)/2]
		}
		if err := out.Send(m); err != nil {
			return err
		}
		if dies {
			os.Exit(7)
		}
	}
	return nil
}

// servePlugin is the plugin's process.
func servePlugin(socket string) {
	_ = os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle(sourcev1alpha1connect.NewSourceServiceHandler(hostilePlugin{}))
	server := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	_ = server.Serve(l)
}

// keepPlugin starts a plugin's process whenever there is none, as the kubelet does,
// until the test ends. It returns the directory for the runtime's --plugins-dir.
func keepPlugin(t *testing.T, names ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugins") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	t.Cleanup(func() { cancel(); ended.Wait() })
	for _, name := range names {
		if err := os.Mkdir(dir+"/"+name, 0o700); err != nil {
			t.Fatal(err)
		}
		ended.Go(func() {
			for ctx.Err() == nil {
				cmd := exec.CommandContext(ctx, os.Args[0])
				cmd.Env = append(os.Environ(), envPlugin+"="+dir+"/"+name+"/"+sidecar.PluginSocket)
				_ = cmd.Run() // how it died does not matter
			}
		})
	}
	return dir
}

// pluginAssignment has one item, at the place that the DataSet names.
func pluginAssignment(dataset, plugin, revision, path string) *gatewayv1alpha1.Assignment {
	return &gatewayv1alpha1.Assignment{Data: dataset + "-pod", Dataset: dataset, Revision: revision,
		Sources: []*gatewayv1alpha1.Source{{Name: "plugin", Config: &gatewayv1alpha1.Source_Plugin{
			Plugin: &gatewayv1alpha1.PluginSource{Name: plugin}}}},
		Items: []*gatewayv1alpha1.Item{{Namespace: "default", Name: dataset, Version: revision,
			Source: "plugin", RemotePath: path, LocalPath: dataset}}}
}

// Whatever a plugin's process does is a failure of the item that it is asked for:
// the runtime lives, what the application sees stays, and the next version comes.
func TestWhateverAPluginDoesIsAFailureOfItsItemOnly(t *testing.T) {
	for path := range hostilePaths {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			g := agenttest.NewGateway(t)
			s := newSidecar(t, g)
			s.args = []string{"--plugins-dir", keepPlugin(t, "hostile")}
			g.Want(pluginAssignment("ds", "hostile", "r1", "good"))
			s.start()
			g.Success("ds-pod", "r1")
			g.Want(pluginAssignment("ds", "hostile", "r2", path))
			failed := g.Await("the failure", func(r *gatewayv1alpha1.ReportRequest) bool {
				return r.GetRevision() == "r2" && len(r.GetItems()) == 1 && r.GetItems()[0].GetPhase() == gatewayv1alpha1.Phase_PHASE_FAILED
			})
			if reason := failed.GetItems()[0].GetReason(); failed.GetCurrentRevision() != "r1" || reason == "" {
				t.Errorf("the view is at %q, and the reason is %q", failed.GetCurrentRevision(), reason)
			}
			if got, err := s.read("ds"); err != nil || got != "xxxx" {
				t.Errorf("the application reads %q, %v", got, err)
			}
			g.Want(pluginAssignment("ds", "hostile", "r3", "good again"))
			g.Success("ds-pod", "r3")
			// The runtime is not restarted: it is still the first process.
			if code, _ := s.get(sidecar.PathHealthz); code != http.StatusOK {
				t.Errorf("the runtime's health is %d", code)
			}
		})
	}
}
