// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/domain/item"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func testSource(bucket string) *gatewayv1alpha1.Source {
	return &gatewayv1alpha1.Source{Name: "s3", Config: &gatewayv1alpha1.Source_S3{
		S3: &gatewayv1alpha1.S3Source{Endpoint: "http://minio:9000", Bucket: bucket}}}
}

func testHooks() *gatewayv1alpha1.Lifecycle {
	h := &gatewayv1alpha1.Hook{Action: &gatewayv1alpha1.Hook_Exec{Exec: &gatewayv1alpha1.ExecHook{}}}
	return &gatewayv1alpha1.Lifecycle{PreDownload: h, PostDownload: h}
}

// testAssignment has items of a name and a version, with hooks everywhere.
func testAssignment(revision string, items ...string) *gatewayv1alpha1.Assignment {
	a := &gatewayv1alpha1.Assignment{Data: "d", Dataset: "ds", Revision: revision, Lifecycle: testHooks(),
		Sources: []*gatewayv1alpha1.Source{testSource("models")}}
	for i := 0; i < len(items); i += 2 {
		a.Items = append(a.Items, &gatewayv1alpha1.Item{Namespace: "n", Name: items[i], Version: items[i+1],
			RemotePath: items[i], LocalPath: items[i], Source: "s3", Lifecycle: testHooks()})
	}
	return a
}

// deliveredDisk returns the disk after an assignment was delivered to the end.
func deliveredDisk(a *gatewayv1alpha1.Assignment) Disk {
	d := Disk{Current: a.GetRevision(), Record: &podstate.Record{Revisions: map[string]podstate.Revision{}, Hooks: map[string]string{}}}
	items := map[podstate.ItemKey]podstate.Item{}
	for _, i := range a.GetItems() {
		items[podstate.KeyOf(i.GetNamespace(), i.GetName())] = podstate.Item{LocalPath: i.GetLocalPath(), Version: i.GetVersion(),
			Mark: item.Mark(i, a.GetSources()[0])}
	}
	d.Record.Revisions[a.GetRevision()] = podstate.Revision{Items: items}
	d.Record.Hooks = Make(a, d).Notices
	return d
}

func TestPlanFetchesAndRunsHooksOnlyForWhatChanged(t *testing.T) {
	empty := Disk{Record: &podstate.Record{Revisions: map[string]podstate.Revision{}, Hooks: map[string]string{}}}
	r1 := testAssignment("r1", "a", "1", "b", "1")
	moved := testAssignment("r2", "a", "1", "b", "1")
	moved.Items[1].LocalPath = "elsewhere"
	undelivered := deliveredDisk(r1)
	undelivered.Record.Hooks = map[string]string{}
	held := deliveredDisk(r1)
	held.Record.Failed = &podstate.FailedRevision{Revision: "r2"}
	secret := testAssignment("r2", "a", "1", "b", "1")
	secret.Sources[0].GetS3().Secret = "rotated"
	bucket := testAssignment("r2", "a", "1", "b", "1")
	bucket.Sources[0] = testSource("other")
	for _, tt := range []struct {
		name       string
		assignment *gatewayv1alpha1.Assignment
		disk       Disk
		fetch      []string
		switches   bool
		hooks      []string
		held       bool
	}{
		{"first delivery runs no preUpdate hook", r1, empty, []string{"n/a", "n/b"}, true, []string{"post/n/a", "post/n/b", "post"}, false},
		{"nothing to do", r1, deliveredDisk(r1), nil, false, nil, false},
		{"hooks were not done before a restart", r1, undelivered, nil, false, []string{"post/n/a", "post/n/b", "post"}, false},
		{"one item changed", testAssignment("r2", "a", "2", "b", "1"), deliveredDisk(r1), []string{"n/a"}, true,
			[]string{"pre", "pre/n/a", "post/n/a", "post"}, false},
		{"one item moved", moved, deliveredDisk(r1), nil, true, []string{"pre", "post/n/b", "post"}, false},
		{"one item gone", testAssignment("r2", "a", "1"), deliveredDisk(r1), nil, true, []string{"pre", "post"}, false},
		{"one item came", testAssignment("r2", "a", "1", "b", "1", "c", "1"), deliveredDisk(r1), []string{"n/c"}, true,
			[]string{"pre", "pre/n/c", "post/n/c", "post"}, false},
		{"same data, new revision", testAssignment("r2", "a", "1", "b", "1"), deliveredDisk(r1), nil, true, nil, false},
		{"other credentials are the same data", secret, deliveredDisk(r1), nil, true, nil, false},
		{"another bucket is other data", bucket, deliveredDisk(r1), []string{"n/a", "n/b"}, true,
			[]string{"pre", "pre/n/a", "pre/n/b", "post/n/a", "post/n/b", "post"}, false},
		{"taken back", testAssignment("r2", "a", "2", "b", "1"), held, []string{"n/a"}, true,
			[]string{"pre", "pre/n/a", "post/n/a", "post"}, true},
		{"another one after one was taken back", testAssignment("r3", "a", "1", "b", "1"), held, nil, true, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Make(tt.assignment, tt.disk)
			var fetch, hooks []string
			for _, i := range p.Items {
				if i.Have == nil {
					fetch = append(fetch, string(i.Key))
				}
			}
			for _, h := range append(p.Pre, p.Post...) {
				hooks = append(hooks, h.ID)
			}
			if d := cmp.Diff(tt.fetch, fetch); d != "" {
				t.Errorf("to fetch (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.hooks, hooks); d != "" {
				t.Errorf("hooks (-want +got):\n%s", d)
			}
			if p.Switches != tt.switches || (p.Held != nil) != tt.held {
				t.Errorf("switches %t, held %v", p.Switches, p.Held)
			}
			if p.IsUpToDate() != (tt.fetch == nil && !tt.switches && tt.hooks == nil) {
				t.Errorf("idle %t", p.IsUpToDate())
			}
		})
	}
}
