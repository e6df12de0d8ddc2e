// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
	"github.com/kuda-io/kuda/internal/delivery/agent/status"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// BenchmarkSwitch tells how long it takes from the message that asks for another
// revision until the application sees it: one that was prefetched, and the
// one before. Items have one file each.
func BenchmarkSwitch(b *testing.B) {
	for _, c := range []struct{ items, bytes int }{{4, 200 << 20}, {100, 10 << 10}} {
		g, f := agenttest.NewGateway(b), agenttest.NewFiles(b)
		revision := func(n int) *gatewayv1alpha1.Assignment {
			var items []string
			for i := range c.items {
				path := fmt.Sprintf("/%d/%d", n, i)
				f.Put(path, strings.Repeat(string(rune('a'+n)), c.bytes))
				items = append(items, fmt.Sprint("item", i), path)
			}
			return f.Assignment("ds", fmt.Sprint("r", n), items...)
		}
		revisions := []*gatewayv1alpha1.Assignment{revision(0), revision(1)}
		g.Want(revisions[0])
		p := newPod(b, g)
		g.Success("ds-pod", "r0")
		g.Want(later(revision(0), revisions[1]))
		prefetchPhase(g, "r1", prefetched)
		f.Server.Close()
		now := 0
		name := fmt.Sprintf("%d×%dKiB", c.items, c.bytes>>10)
		move := func(b *testing.B) {
			for b.Loop() {
				now = 1 - now
				want := fmt.Sprint("r", now)
				g.Want(revisions[now])
				p.wait(want, func(s status.State) bool { return len(s.DataSets) == 1 && s.DataSets[0].Revision == want })
				b.StopTimer()
				g.Success("ds-pod", want)
				g.Forget()
				b.StartTimer()
			}
		}
		b.Run(name, move)
		p.stop()
	}
}
