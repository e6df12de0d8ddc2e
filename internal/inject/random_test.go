// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// randomPod is any pod that Inject accepts.
func randomPod(r *rand.Rand) *corev1.Pod {
	p := pod()
	p.Spec.Containers = randomContainers(r, "app", 1+r.IntN(3))
	p.Spec.InitContainers = randomContainers(r, "init", r.IntN(3))
	for i := range 3 {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("volume-%d", i)})
	}
	if r.IntN(2) == 0 {
		p.Annotations = map[string]string{"example.com/b": "d"}
	}
	if r.IntN(2) == 0 {
		p.Annotations = map[string]string{v1alpha1.AnnotationStartAfter: "init-0, early-0, late-0"}
	}
	if r.IntN(4) == 0 {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), FSGroup: new(int64(2000))}
	}
	if r.IntN(2) == 0 {
		p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "own"}}
	}
	p.Spec.Affinity = randomAffinity(r)
	p.Spec.SchedulerName = []string{"", corev1.DefaultSchedulerName, "other"}[r.IntN(3)]
	return p
}

func randomAffinity(r *rand.Rand) *corev1.Affinity {
	a := &corev1.Affinity{}
	if r.IntN(2) == 0 {
		a.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{TopologyKey: corev1.LabelHostname}}}
	}
	switch r.IntN(4) {
	case 0:
		return nil
	case 1:
		return a
	}
	a.NodeAffinity = &corev1.NodeAffinity{}
	if r.IntN(2) == 0 {
		a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "gpu", Operator: corev1.NodeSelectorOpExists}},
		}}}
	}
	for range r.IntN(3) {
		a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
			ownTerm(1+r.Int32N(100)))
	}
	return a
}

// ownTerm is one that is not Kuda's.
func ownTerm(weight int32) corev1.PreferredSchedulingTerm {
	return corev1.PreferredSchedulingTerm{Weight: weight, Preference: corev1.NodeSelectorTerm{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"ssd"}}},
	}}
}

func randomPreferences(r *rand.Rand) []index.Preference {
	var list []index.Preference
	for i := range r.IntN(5) {
		list = append(list, index.Preference{Node: fmt.Sprintf("node-%d", i), Weight: 1 + r.Int32N(100)})
	}
	return list
}

func randomContainers(r *rand.Rand, name string, n int) []corev1.Container {
	var containers []corev1.Container
	for i := range n {
		c := corev1.Container{Name: fmt.Sprintf("%s-%d", name, i), Image: "image"}
		for j := range r.IntN(3) {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("VAR_%d", j), Value: "$(X)"})
		}
		for j := range r.IntN(3) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: fmt.Sprintf("volume-%d", j), MountPath: fmt.Sprintf("/mnt/%d", j)})
		}
		if r.IntN(4) == 0 {
			c.Ports = []corev1.ContainerPort{{ContainerPort: 8888}}
		}
		if r.IntN(2) == 0 {
			c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")}
		}
		if !strings.HasPrefix(name, "app") && r.IntN(2) == 0 {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		containers = append(containers, c)
	}
	return containers
}

func randomRequest(r *rand.Rand) Request {
	req := request(randomPod(r))
	req.Settings.Store = []StoreMode{StoreAuto, StoreNode, StorePod}[r.IntN(3)]
	if r.IntN(2) == 0 {
		req = driven(req)
	}
	if r.IntN(4) == 0 {
		req.Namespace.Annotations = map[string]string{annotationUserRange: "1000650000/10000"}
	}
	if r.IntN(6) == 0 {
		req.Pod.Labels[v1alpha1.LabelStore] = v1alpha1.StorePod
	}
	req.Preferences, req.Settings.Affinity = randomPreferences(r), r.IntN(4) > 0
	req.Settings.SchedulerName = []string{"", "kuda-scheduler"}[r.IntN(2)]
	req.Settings.PullSecrets = [][]corev1.LocalObjectReference{nil, {{Name: "own"}, {Name: "kuda"}}}[r.IntN(2)]
	if r.IntN(2) == 0 {
		req.DataSets = req.DataSets[:1]
	}
	if r.IntN(3) == 0 {
		req.DataSets = append(req.DataSets, dataSet("all", everySource))
	}
	return req
}

func TestInjectingTwiceIsInjectingOnce(t *testing.T) {
	for seed := range uint64(500) {
		req := randomRequest(rand.New(rand.NewPCG(seed, 1)))
		once := mustInject(t, req)
		req.Pod = once
		if diff := cmp.Diff(once, mustInject(t, req)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		if diff := cmp.Diff(apply(t, once, nil), apply(t, once, Patch(once, mustInject(t, req)))); diff != "" {
			t.Fatalf("seed %d: the second patch changes the pod: %s", seed, diff)
		}
	}
}

// TestThePatchLosesNothingOfThePod applies patches to pods with fields that
// this version of the API does not know.
func TestThePatchLosesNothingOfThePod(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		req := randomRequest(r)
		if r.IntN(2) == 0 { // a reinvocation, after others have changed the pod
			req.Pod = mustInject(t, req)
			req.Pod.Spec.Containers = append(req.Pod.Spec.Containers, randomContainers(r, "app-late", 1)...)
			req.Pod.Spec.InitContainers = append(req.Pod.Spec.InitContainers, randomContainers(r, "late", r.IntN(2))...)
			req.Pod.Spec.InitContainers = append(randomContainers(r, "early", r.IntN(2)), req.Pod.Spec.InitContainers...)
			if a := req.Pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && r.IntN(2) == 0 {
				a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
					ownTerm(1+r.Int32N(100)))
			}
			req.Preferences = randomPreferences(r)
			if r.IntN(3) == 0 { // the installation's stores are others by now
				req.Settings.NodeDriver = []string{"", sidecar.CSIDriver}[r.IntN(2)]
			}
			req.DataSets = []*v1alpha1.DataSet{dataSet("another", everySource)}
		}
		after := mustInject(t, req)
		want := apply(t, after, nil)
		got := apply(t, req.Pod, Patch(req.Pod, after))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
		}
	}
}

// apply returns the pod as generic JSON with unknown fields, after the operations.
// What it has of Kuda's own before them has unknown fields too, which must go.
func apply(t *testing.T, p *corev1.Pod, ops []Operation) map[string]any {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var generic map[string]any
	if err := json.Unmarshal(raw, &generic); err != nil {
		t.Fatal(err)
	}
	spec := generic["spec"].(map[string]any)
	arrived := ops != nil
	spec["fromTheFuture"] = true
	for _, list := range []string{"containers", "initContainers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			if c := c.(map[string]any); !isOwnContainer(c["name"].(string)) {
				c["fromTheFuture"] = c["name"]
			} else if arrived {
				c["fromTheFuture"] = "forged"
			}
		}
	}
	for _, t := range dig(spec, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution") {
		if t := t.(map[string]any); t["preference"].(map[string]any)["matchExpressions"] != nil {
			t["fromTheFuture"] = t["weight"]
		}
	}
	if raw, err = json.Marshal(generic); err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	if ops != nil {
		decoded, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err = decoded.Apply(raw); err != nil {
			t.Fatalf("applying %s: %v", patch, err)
		}
	}
	var result map[string]any
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// dig returns the list at the end of the path, if there is one.
func dig(at map[string]any, path ...string) []any {
	for _, key := range path[:len(path)-1] {
		at, _ = at[key].(map[string]any)
	}
	list, _ := at[path[len(path)-1]].([]any)
	return list
}

func BenchmarkInject(b *testing.B) {
	req := request(pod())
	for b.Loop() {
		p, _, err := Inject(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(Patch(req.Pod, p)); err != nil {
			b.Fatal(err)
		}
	}
}

// applyPatch returns the pod after the operations.
func applyPatch(t *testing.T, p *corev1.Pod, ops []Operation) *corev1.Pod {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = decoded.Apply(raw); err != nil {
		t.Fatalf("applying %s: %v", patch, err)
	}
	result := &corev1.Pod{}
	if err := json.Unmarshal(raw, result); err != nil {
		t.Fatal(err)
	}
	return result
}
