// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/uplink"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestAClientFollowsTheFileOfTheCertificates(t *testing.T) {
	g := agenttest.NewGateway(t)
	o := options(t, g)
	o.CA, o.CAFile, o.CASource = nil, "", filepath.Join(t.TempDir(), "ca.crt")
	c, err := uplink.New(o)
	if err != nil {
		t.Fatalf("without certificates yet: %v", err)
	}
	defer c.Close()
	report := func() error { return c.Report(t.Context(), &gatewayv1alpha1.ReportRequest{Data: "x"}) }
	if err := report(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	for name, bundle := range map[string][]byte{"of another authority": otherCA(t, time.Now().Add(time.Hour)),
		"rubbish": []byte("x"), "nothing": nil} {
		if err := os.WriteFile(o.CASource, bundle, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := report(); err == nil || len(g.Reports()) > 0 {
			t.Errorf("%s: spoke with a stranger: %v", name, err)
		}
	}
	if err := os.WriteFile(o.CASource, g.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := report(); err != nil {
		t.Errorf("with the right file: %v", err)
	}
}

// nodeHandler passes on what it is told.
type nodeHandler struct {
	told      chan *gatewayv1alpha1.WatchNodeResponse
	connected chan bool
}

func (h *nodeHandler) Told(m *gatewayv1alpha1.WatchNodeResponse) { h.told <- m }
func (h *nodeHandler) Connected(yes bool)                        { h.connected <- yes }

func TestAKeeperHearsAndReports(t *testing.T) {
	g := agenttest.NewGateway(t)
	c, err := uplink.New(options(t, g))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	h, ended := &nodeHandler{make(chan *gatewayv1alpha1.WatchNodeResponse, 10), make(chan bool, 10)}, make(chan struct{})
	go func() {
		defer close(ended)
		c.WatchNode(ctx, &gatewayv1alpha1.WatchNodeRequest{Directories: []*gatewayv1alpha1.StoreDirectory{{Namespace: "n", Uid: "u"}}}, h)
	}()
	if m := <-h.told; len(m.GetGone()) != 1 || m.GetGone()[0].GetUid() != "u" {
		t.Errorf("told %v", m)
	}
	if !<-h.connected {
		t.Error("not connected")
	}
	cancel()
	<-ended
	if <-h.connected {
		t.Error("still connected")
	}
	if err := c.ReportNode(t.Context(), &gatewayv1alpha1.ReportNodeRequest{}); err != nil {
		t.Errorf("reporting: %v", err)
	}
	refused := &gatewayv1alpha1.ReportNodeRequest{KeeperVersion: "refused"}
	if err := c.ReportNode(t.Context(), refused); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("refused with %v", err)
	}
}
