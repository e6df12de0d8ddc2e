// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
)

// otherGroup is one that files of this process may have. They do not have it by
// themselves, unless the user that runs the test has no other.
func otherGroup(t *testing.T) int {
	t.Helper()
	if os.Getuid() == 0 {
		return 12345
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(groups, func(g int) bool { return g != os.Getgid() })
	if at < 0 {
		return os.Getgid()
	}
	return groups[at]
}

// The kubelet gives the root of a pod's own store the pod's fsGroup, and the bit by
// which what is made in it gets the group too. An item of mode 0640 is then for the pod.
func TestDeliveredFilesHaveTheGroupOfThePodsStore(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/key", "secret")
	want := f.Assignment("ds", "r1", "dir/key.pem", "/key")
	want.GetItems()[0].Mode = new(uint32(0o640))
	g.Want(want)
	p := &pod{t: t, root: t.TempDir(), uid: "uid", gateway: g, waitFor: []string{"ds"}, stop: func() {}, failed: make(chan string, 1)}
	group := otherGroup(t)
	if err := os.Chown(p.root, -1, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.root, 0o770|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	p.begin()
	g.Success("ds-pod", "r1")
	info, err := os.Stat(filepath.Join(p.dir().View(), "dir/key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Gid) != group || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %s, %+v; want group %d", info.Mode(), info.Sys(), group)
	}
	// Its directories must let the group through.
	for dir := filepath.Join(p.dir().View(), "dir"); len(dir) > len(p.root); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o050 != 0o050 && info.Mode().Perm()&0o005 != 0o005 {
			t.Errorf("%s has mode %s", dir, info.Mode())
		}
	}
}
