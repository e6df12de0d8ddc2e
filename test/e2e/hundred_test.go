// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	hundred    = 100
	mountedMap = "/etc/compared/version"
)

// TestEditReachesAHundredPodsBesideAConfigMap changes a file of 1 KiB for 100
// pods, through Kuda and through a ConfigMap volume, and says when each pod's
// application read it.
func TestEditReachesAHundredPodsBesideAConfigMap(t *testing.T) {
	f := newFleet(t, "hundred", hundred, func(spec *v1alpha1.DataSetSpec, d *appsv1.Deployment) {
		spec.UpdateStrategy.RollingUpdate = atMost("100%")
		i := &spec.Template.DataItems[0]
		i.RemotePath, i.LocalPath = i.RemotePath+"version", i.LocalPath+"/version"
		create(t, compared(d.Namespace, "v1"))
		s := &d.Spec.Template.Spec
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "compared", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "compared"}}}})
		s.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "compared", MountPath: "/etc/compared"}}
		s.Containers[0].Args = []string{"sample", "--every=200ms", sampled, mountedMap} // their timers would fill the machine
		s.Containers[0].ReadinessProbe = nil
		d.Spec.MinReadySeconds = 0
		d.Spec.RevisionHistoryLimit = ptr.To[int32](1)
	})
	f.put(t, "v2")
	configMapChanged := time.Now()
	if err := kube.Update(t.Context(), compared(f.ns, "v2")); err != nil {
		t.Fatal(err)
	}
	changed := time.Now()
	update(t, f.ds, func() {
		i := &f.ds.Spec.Template.DataItems[0]
		i.Version, i.RemotePath = "v2", f.prefix+"v2/version"
	})
	f.waitPhase(t, v1alpha1.RolloutCompleted, 2*time.Minute)

	byKuda := f.waitRead(t, sampled, "v2", changed, 5*time.Second)
	byMap := f.waitRead(t, mountedMap, "v2", configMapChanged, 4*time.Minute)
	half := func(d []time.Duration) time.Duration { return d[len(d)/2] }
	last := func(d []time.Duration) time.Duration { return d[len(d)-1] }
	t.Logf("edit to the application's reading, 100 pods, p50 and last: Kuda %s and %s; ConfigMap %s and %s (%.0f and %.0f times)",
		half(byKuda), last(byKuda), half(byMap), last(byMap),
		float64(half(byMap))/float64(half(byKuda)), float64(last(byMap))/float64(last(byKuda)))
	if last(byKuda) >= last(byMap) {
		t.Error("the ConfigMap was there first")
	}
}

func compared(namespace, version string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "compared"},
		Data:       map[string]string{"version": string(versionFile(version, 1<<10))},
	}
}

// waitRead waits until every pod has read a version in a file, and answers how
// long after a time each first did, sorted.
func (f *fleet) waitRead(t *testing.T, file, version string, since time.Time, timeout time.Duration) []time.Duration {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		var took []time.Duration
		for _, s := range f.samples(t) {
			for _, seen := range s.Files[file] {
				if seen.Version == version {
					took = append(took, seen.Time.Sub(since).Round(time.Millisecond))
					break
				}
			}
		}
		if len(took) == hundred {
			slices.Sort(took)
			return took
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pods read %s in %s, want %d", len(took), version, file, hundred)
		}
		pause(t, time.Second)
	}
}
