// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// What a keeper does when it found that a snapshot was changed.
func TestAllPodsOfADamagedSnapshotGetTheRightBytes(t *testing.T) {
	gateways := []*agenttest.Gateway{agenttest.NewGateway(t), agenttest.NewGateway(t), agenttest.NewGateway(t)}
	f := agenttest.NewFiles(t)
	f.Put("/v1", "the right bytes")
	for _, g := range gateways {
		g.Want(f.Assignment("ds", "r1", "a", "/v1"))
	}
	pods := []*pod{newPod(t, gateways[0])}
	pods = append(pods, pods[0].beside(gateways[1], "second"), pods[0].beside(gateways[2], "third"))
	for _, g := range gateways {
		g.Success("ds-pod", "r1")
	}
	rot(t, filepath.Join(pods[0].dir().View(), "a"))
	st, err := store.Open(store.Options{Root: pods[0].root})
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := st.Snapshots()
	if err != nil || len(snapshots) != 1 {
		t.Fatalf("got %d snapshots, %v", len(snapshots), err)
	}
	mark := filepath.Join(pods[0].root, store.LocksDir, store.SuspectName(snapshots[0].ID))
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		p.wait("the right bytes in pod "+p.uid, func(status.State) bool { return p.file("a") == "the right bytes" })
	}
	if _, err := os.Lstat(mark); err == nil {
		t.Error("the snapshot is still marked")
	}
}
