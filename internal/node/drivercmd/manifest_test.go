// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package drivercmd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// readManifest returns the driver and the DaemonSet of install/kuda-node.yaml.
func readManifest(t *testing.T) (csi storagev1.CSIDriver, set appsv1.DaemonSet) {
	t.Helper()
	data, err := os.ReadFile("../../../install/kuda-node.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		text, err := r.Read()
		if errors.Is(err, io.EOF) {
			return csi, set
		}
		var kind metav1.TypeMeta
		if err == nil {
			err = yaml.Unmarshal(text, &kind)
		}
		if err == nil && kind.Kind == "CSIDriver" {
			err = yaml.UnmarshalStrict(text, &csi)
		}
		if err == nil && kind.Kind == "DaemonSet" {
			err = yaml.UnmarshalStrict(text, &set)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheKubeletLeavesStoresAlone holds the settings without which data is damaged.
func TestTheKubeletLeavesStoresAlone(t *testing.T) {
	csi, set := readManifest(t)
	s := csi.Spec
	if csi.Name != sidecar.CSIDriver || !*s.PodInfoOnMount || *s.FSGroupPolicy != storagev1.NoneFSGroupPolicy || *s.AttachRequired ||
		*s.RequiresRepublish || *s.SELinuxMount || len(s.TokenRequests) != 0 ||
		!slices.Equal(s.VolumeLifecycleModes, []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecycleEphemeral}) {
		t.Errorf("the CSIDriver is %+v", csi)
	}
	if u := set.Spec.UpdateStrategy.RollingUpdate; u == nil || u.MaxSurge.IntValue() != 0 {
		t.Errorf("the kubelet refuses a second driver: %+v", u)
	}
}

func TestTheDriversContainerFitsItsFlags(t *testing.T) {
	_, set := readManifest(t)
	driver := set.Spec.Template.Spec.Containers[0]
	cmd := New()
	if err := cmd.ParseFlags(driver.Args[1:]); err != nil || driver.Args[0] != cmd.Name() {
		t.Fatalf("%q: %v", driver.Args, err)
	}
	if err := New().ParseFlags(driver.LivenessProbe.Exec.Command[2:]); err != nil {
		t.Errorf("the probe: %v", err)
	}
	kubelet, base := cmd.Flag("kubelet-dir").Value.String(), cmd.Flag("base").Value.String()
	want := map[string]corev1.MountPropagationMode{
		filepath.Join(kubelet, "plugins_registry"): "", filepath.Join(kubelet, "pods"): corev1.MountPropagationBidirectional,
		base: corev1.MountPropagationHostToContainer,
	}
	paths := map[string]string{}
	for _, v := range set.Spec.Template.Spec.Volumes {
		if v.HostPath != nil {
			paths[v.Name] = v.HostPath.Path
		}
	}
	for _, m := range driver.VolumeMounts {
		propagation := corev1.MountPropagationMode("")
		if m.MountPropagation != nil {
			propagation = *m.MountPropagation
		}
		if mode, ok := want[m.MountPath]; !ok || mode != propagation || paths[m.Name] != m.MountPath {
			t.Errorf("%s is mounted from %q, with propagation %q", m.MountPath, paths[m.Name], propagation)
		}
		delete(want, m.MountPath)
	}
	if len(want) != 0 {
		t.Errorf("not mounted: %v", want)
	}
	if got := paths["stores"]; got != filepath.Join(base, sidecar.NodeStoresDir) {
		t.Errorf("the keeper has %s", got)
	}
}

func TestOnlyTheKeeperHasAToken(t *testing.T) {
	_, set := readManifest(t)
	pod := set.Spec.Template.Spec
	if *pod.AutomountServiceAccountToken {
		t.Error("all containers have a token")
	}
	for _, c := range pod.Containers {
		has := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return strings.Contains(m.Name, "token") })
		if has != (c.Name == "keeper") {
			t.Errorf("container %s has a token: %v", c.Name, has)
		}
	}
}
