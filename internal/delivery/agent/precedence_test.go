// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/agent/agenttest"
)

// Of two DataSets that want one place, the first of the order has it in every pod,
// however much later its download ends.
func TestASlowDownloadOfTheFirstDataSetKeepsItsPlace(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/x", "from X")
	f.Put("/y", "from Y")
	release := f.Block("/x")
	zz, aa := f.Assignment("zz", "r1", "conf/app.txt", "/x"), f.Assignment("aa", "r1", "conf/app.txt", "/y", "other", "/y")
	g.Want(zz, aa) // zz was created first
	p := newPod(t, g)
	r := g.Failure("conf/app.txt", "PathConflict")
	if r.GetData() != "aa-pod" || !strings.Contains(r.GetItems()[0].GetMessage(), "of DataSet zz, which was created first") {
		t.Errorf("the failure is %v", r)
	}
	p.wantNoFile("conf/app.txt")
	release()
	g.Success("zz-pod", "r1")
	p.wantFile("conf/app.txt", "from X")
	p.wantNoFile("other")
	// What comes after a DataSet that failed is not in its way.
	third := f.Assignment("third", "r1", "other", "/x")
	g.Want(zz, aa, third)
	g.Success("third-pod", "r1")
	// The place is free when the first goes elsewhere, and the third one's is not.
	zz = f.Assignment("zz", "r2", "elsewhere", "/x")
	aa = f.Assignment("aa", "r2", "conf/app.txt", "/y")
	g.Want(zz, aa, third)
	g.Success("aa-pod", "r2")
	p.wantFile("conf/app.txt", "from Y")
}

// A running pod keeps what it has when a DataSet that comes first wants its place.
func TestAPlaceInUseIsNotTakenAway(t *testing.T) {
	g, f := agenttest.NewGateway(t), agenttest.NewFiles(t)
	f.Put("/x", "from X")
	f.Put("/y", "from Y")
	aa := f.Assignment("aa", "r1", "conf", "/y")
	g.Want(aa)
	p := newPod(t, g)
	g.Success("aa-pod", "r1")
	g.Want(f.Assignment("zz", "r2", "conf", "/x"), aa)
	if r := g.Failure("conf", "PathConflict"); r.GetData() != "zz-pod" {
		t.Errorf("the failure is %v", r)
	}
	p.wantFile("conf", "from Y")
}
