// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// session is a terminal session with kubectl kuda, kept as text.
type session struct {
	f    *fleet
	text strings.Builder
}

// run runs a verb and returns what it printed; want is its exit code.
func (s *session) run(t *testing.T, want int, args ...string) string {
	t.Helper()
	out, code := kudaStatus(t, append([]string{"-n", s.f.ns}, args...)...)
	fmt.Fprintf(&s.text, "$ kubectl kuda %s\n%s", strings.Join(args, " "), out)
	if code != 0 {
		fmt.Fprintf(&s.text, "(exit code %d)\n", code)
	}
	s.text.WriteString("\n")
	if code != want {
		t.Errorf("kubectl kuda %q ended with %d, want %d:\n%s", args, code, want, out)
	}
	return out
}

// expect runs a verb that must end well and print all of the words.
func (s *session) expect(t *testing.T, words []string, args ...string) string {
	t.Helper()
	out := s.run(t, 0, args...)
	for _, word := range words {
		if !strings.Contains(out, word) {
			t.Errorf("kubectl kuda %q does not say %q:\n%s", args, word, out)
		}
	}
	return out
}

// TestCommandLineSession uses each verb as a user would. Its text is kept in
// build/test/session.txt.
func TestCommandLineSession(t *testing.T) {
	const large = 24 << 20
	f := newFleet(t, "models", 6, func(spec *v1alpha1.DataSetSpec, _ *appsv1.Deployment) {
		spec.UpdateStrategy.RollingUpdate = atMost("2")
		spec.UpdateStrategy.Steps = []v1alpha1.RolloutStep{share("50%"), {Pause: &v1alpha1.PauseStep{}}}
	})
	s := &session{f: f}
	t.Chdir(t.TempDir())
	t.Cleanup(func() {
		file := filepath.Join(filepath.Dir(filepath.Dir(os.Getenv("KUDA_CLUSTER"))), "test", "session.txt")
		if err := os.WriteFile(file, []byte(s.text.String()), 0o644); err != nil {
			t.Error(err)
		}
	})
	s.expect(t, []string{"models", "6/6"}, "status")
	s.expect(t, []string{"Succeeded"}, "history", "models")
	pod := f.pods(t)[0].Name
	s.expect(t, []string{"payload.bin", "version"}, "get", pod, "-o", "wide")
	s.expect(t, []string{"NODE", "node1", "node2", "node3", "v1"}, "nodes")
	s.expect(t, []string{"models", "node1", "node2", "node3", "SCORE"}, "why", pod)

	// What an edit would move is what it moves.
	f.put(t, "v2")
	store.putLarge(t, f.prefix+"v2/large.bin", large)
	file := f.edited(t, "v2")
	keys := []string{"v2/version", "v2/payload.bin", "v2/large.bin"}
	before := f.fetched(keys)
	s.run(t, 1, "diff", "-f", file)
	var predicted struct {
		Total struct{ BytesToMove int64 }
	}
	kudaJSON(t, &predicted, "-n", f.ns, "diff", "-f", file)
	if moved := f.fetched(keys) - before; moved != 0 {
		t.Errorf("diff itself moved %d bytes", moved)
	}
	kubectl(t, "-n", f.ns, "apply", "--server-side", "--force-conflicts", "-f", file)
	f.waitStatus(t, time.Minute, atStep(1))
	s.expect(t, []string{"promote"}, "status", "models")
	s.expect(t, nil, "promote", "models")
	s.expect(t, []string{"Completed"}, "status", "-w", "models", "--timeout", "2m")
	f.waitVersions(t, map[string]int{"v2": 6}, 5*time.Second)
	moved := f.fetched(keys) - before
	t.Logf("diff predicted %d bytes, %d were moved", predicted.Total.BytesToMove, moved)
	if off := float64(predicted.Total.BytesToMove-moved) / float64(moved); off > 0.01 || off < -0.01 {
		t.Errorf("diff predicted %d bytes, %d were moved", predicted.Total.BytesToMove, moved)
	}

	s.run(t, 1, "diff", "models", "--from", "1", "--to", "2")
	f.edit(t, "v3")
	f.waitStatus(t, time.Minute, atStep(1))
	s.expect(t, nil, "pause", "models")
	s.expect(t, nil, "resume", "models")
	s.expect(t, nil, "abort", "models")
	f.waitPhase(t, v1alpha1.RolloutRolledBack, time.Minute)
	s.expect(t, []string{"RolledBack"}, "status")
	s.expect(t, []string{"RolledBack", "retry"}, "doctor", "models")
	s.expect(t, nil, "retry", "models")
	f.waitStatus(t, time.Minute, atStep(1))
	s.expect(t, []string{"v3 → v2"}, "undo", "models")
	f.waitPhase(t, v1alpha1.RolloutCompleted, time.Minute)
	f.waitVersions(t, map[string]int{"v2": 6}, 5*time.Second)
	s.expect(t, []string{"RolledBack", "Succeeded"}, "history", "models", "-o", "wide")
	s.expect(t, nil, "doctor")
	s.run(t, 2, "status", "nothing")
	f.checkSamples(t)
}

// atStep holds when the rollout is at a step.
func atStep(step int32) func(*v1alpha1.DataSetStatus) error {
	return func(s *v1alpha1.DataSetStatus) error {
		if s.Rollout.Step != step {
			return fmt.Errorf("at step %d (%s: %s), want %d", s.Rollout.Step, s.Rollout.Reason, s.Rollout.Message, step)
		}
		return nil
	}
}

// edited writes the DataSet with another version to a file of the working
// directory, as a user has it.
func (f *fleet) edited(t *testing.T, version string) string {
	t.Helper()
	ds, err := f.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wanted := &v1alpha1.DataSet{Spec: *ds.Spec.DeepCopy()}
	wanted.APIVersion, wanted.Kind = v1alpha1.GroupVersion.String(), "DataSet"
	wanted.Name, wanted.Namespace = ds.Name, ds.Namespace
	wanted.Annotations = map[string]string{v1alpha1.AnnotationChangeCause: "weights " + version}
	i := &wanted.Spec.Template.DataItems[0]
	i.Version, i.RemotePath = version, f.prefix+version+"/"
	content, err := yaml.Marshal(wanted)
	if err != nil {
		t.Fatal(err)
	}
	const file = "models.yaml"
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// fetched adds up what was read of objects below the fleet's prefix.
func (f *fleet) fetched(keys []string) int64 {
	var total int64
	for _, key := range keys {
		total += store.served(f.prefix + key).bytes
	}
	return total
}
