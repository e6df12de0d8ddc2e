// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestNodeThatLosesItsNetworkOrItsPowerHealsWithoutAHand(t *testing.T) {
	const node = "node2"
	ns := newNamespace(t, nil)
	for v := range 3 {
		store.put(t, fmt.Sprintf("node/v%d.txt", v), fmt.Appendf(nil, "version %d\n", v))
	}
	ds := dataSet(ns, "node", item("x", "node/v0.txt", "v0"))
	create(t, ds)
	d := deployment(ns, "node", 2, "wait")
	d.Spec.Template.Spec.NodeName = node
	create(t, d)
	waitDelivered(t, ds, 2, time.Minute)

	clusterCommand(t, "link", "cut", node)
	t.Cleanup(func() { clusterCommand(t, "link", "restore", node) })
	setVersion(t, ds, 0, "v1", "node/v1.txt")
	pause(t, 5*time.Second)
	clusterCommand(t, "link", "restore", node)
	waitDelivered(t, ds, 2, 2*time.Minute)
	if n := restarts(pods(t, ns, "node")); n != 0 {
		t.Errorf("a cut link restarted applications %d times", n)
	}

	clusterCommand(t, "node", "kill", node)
	t.Cleanup(func() { clusterCommand(t, "node", "start", node) })
	setVersion(t, ds, 0, "v2", "node/v2.txt")
	clusterCommand(t, "node", "start", node)
	waitDelivered(t, ds, 2, 3*time.Minute)
	for _, p := range pods(t, ns, "node") {
		eventually(t, time.Minute, func(context.Context) error {
			got, err := tryKubectl("-n", ns, "exec", p.Name, "-c", "app", "--", "/e2e-app", "check", "/kuda/data/x")
			if err != nil || got != "version 2\n" {
				return fmt.Errorf("pod %s reads %q: %v", p.Name, got, err)
			}
			return nil
		})
	}
}
