// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The way of examples/preheat/README.md, in a namespace of its own.
func TestExamplePreheatedServersStartWhereTheirModelIs(t *testing.T) {
	o := minioOrigin()
	ns := newNamespace(t, nil)
	for _, v := range []string{"v1", "v2"} {
		local := filepath.Join(t.TempDir(), v)
		if err := command("../../examples/model/make-model.sh", v, local, "4", "8"); err != nil {
			t.Fatal(err)
		}
		o.putTree(t, "models/demo/"+v, local)
	}
	kubectl(t, "label", "--overwrite", "node", "node2", "node3", "example.kuda.io/models=yes")
	t.Cleanup(func() { _, _ = tryKubectl("label", "node", "node2", "node3", "example.kuda.io/models-") })
	f := &fleet{t: t, ns: ns, name: "preheated-model", ds: dataSet(ns, "preheated-model")}
	preheated := func() {
		t.Helper()
		kubectl(t, "-n", ns, "wait", "dataset/"+f.name, "--for=condition=Preheated", "--timeout=120s")
		ds, err := f.get(t.Context())
		if err != nil || ds.Status.Preheat == nil || ds.Status.Preheat.Ready != 2 {
			t.Fatalf("preheat: %+v (%v)", ds.Status.Preheat, err)
		}
	}
	kubectl(t, "-n", ns, "apply", "-f", "../../examples/preheat/dataset.yaml")
	preheated()
	kubectl(t, "-n", ns, "apply", "-f", "../../examples/preheat/deployment.yaml")
	kubectl(t, "-n", ns, "rollout", "status", "deployment/preheated-server", "--timeout=60s")
	for _, p := range pods(t, ns, "preheated-server") {
		if p.Spec.NodeName != "node2" && p.Spec.NodeName != "node3" {
			t.Errorf("pod %s is on %s, its model on node2 and node3", p.Name, p.Spec.NodeName)
		}
	}
	var datas v1alpha1.DataList
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		if err := kube.List(ctx, &datas, client.InNamespace(ns)); err != nil {
			return err
		}
		for _, d := range datas.Items {
			if s := d.Status.DataItemsStatus; len(s) != 1 || s[0].Origin != v1alpha1.OriginNode {
				return fmt.Errorf("pod %s did not find its model on the node: %+v", d.Spec.PodName, s)
			}
		}
		return nil
	})
	setVersion(t, f.ds, 0, "v2", "/models/demo/v2/")
	waitDelivered(t, f.ds, 2, time.Minute)
	preheated()
}
