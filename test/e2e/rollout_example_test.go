// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The way of examples/rollout/README.md, in a namespace of its own.
func TestExampleRolloutGoesInStepsAndTakesABadModelBack(t *testing.T) {
	t.Parallel()
	o := minioOrigin()
	ns := newNamespace(t, nil)
	model, rollout := "../../examples/model/", "../../examples/rollout/"
	for _, v := range []string{"v1", "v2", "v3"} {
		local := filepath.Join(t.TempDir(), v)
		if err := command(model+"make-model.sh", v, local, "4", "8"); err != nil {
			t.Fatal(err)
		}
		if v == "v3" {
			if err := os.Remove(filepath.Join(local, "shards", "part-001.bin")); err != nil {
				t.Fatal(err)
			}
		}
		o.putTree(t, "models/demo/"+v, local)
	}
	o.apply(t, ns, model)
	f := &fleet{t: t, ns: ns, name: "dataset-model", ds: dataSet(ns, "dataset-model")}
	waitDelivered(t, f.ds, 2, time.Minute)
	kubectl(t, "-n", ns, "scale", "deployment/model-server", "--replicas=4")
	waitDelivered(t, f.ds, 4, time.Minute)
	kubectl(t, "-n", ns, "rollout", "status", "deployment/model-server", "--timeout=60s")

	content, err := os.ReadFile(rollout + "dataset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dataset.yaml")
	own := strings.NewReplacer("model-server.default", "model-server."+ns).Replace(string(content))
	if err := os.WriteFile(file, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", ns, "apply", "-f", rollout+"service.yaml", "-f", file)

	setVersion(t, f.ds, 0, "v2", "/models/demo/v2/")
	f.waitStatus(t, time.Minute, atStep(1))
	kudaCommand(t, "-n", ns, "promote", "dataset-model")
	kudaCommand(t, "-n", ns, "status", "dataset-model", "-w", "--timeout", "3m")
	waitDelivered(t, f.ds, 4, 5*time.Second)

	setVersion(t, f.ds, 0, "v3", "/models/demo/v3/")
	out, code := kudaStatus(t, "-n", ns, "status", "dataset-model", "-w", "--timeout", "3m")
	if code != 1 {
		t.Errorf("following a rollout that fails ended with %d:\n%s", code, out)
	}
	f.waitPhase(t, v1alpha1.RolloutRolledBack, 10*time.Second)
	kudaCommand(t, "-n", ns, "undo", "dataset-model")
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	if n := restarts(pods(t, ns, "model-server")); n != 0 {
		t.Errorf("servers were restarted %d times", n)
	}
}
