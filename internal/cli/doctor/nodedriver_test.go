// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/sidecar"
)

func configOf(text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: configName}, Data: map[string]string{configKey: text},
	}
}

func csiNode(name string, drivers ...string) *storagev1.CSINode {
	n := &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, d := range drivers {
		n.Spec.Drivers = append(n.Spec.Drivers, storagev1.CSINodeDriver{Name: d, NodeID: name})
	}
	return n
}

// withNode is an installation with kuda-node that nothing is wrong with.
func withNode(t *testing.T) map[string]client.Object {
	t.Helper()
	objects := map[string]client.Object{
		"config": configOf("nodeDriver: data.kuda.io\nruntimeImage: kuda-io/kuda-runtime:v0.1.0\n"),
		"driver": &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: sidecar.CSIDriver}, Spec: storagev1.CSIDriverSpec{
			AttachRequired: new(false), PodInfoOnMount: new(true), FSGroupPolicy: new(storagev1.NoneFSGroupPolicy),
			VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecycleEphemeral},
		}},
		"daemonset": daemonSet("v0.1.0", 2, 2),
		"policy":    &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: volumesPolicyName}},
		"binding": &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: volumesPolicyName},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}}},
		"images": &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: nodeNamespace, Name: imagesName},
			Data: map[string]string{"runtime": "kuda-io/kuda-runtime:v0.1.0", "more": ""}},
		"node-a": csiNode("node-a", sidecar.CSIDriver), "node-b": csiNode("node-b", "other.example.com", sidecar.CSIDriver),
	}
	return objects
}

func daemonSet(tag string, wanted, ready int32) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: nodeNamespace, Name: driverName},
		Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "driver", Image: "kuda-io/kuda-node:" + tag}, {Name: "keeper", Image: "kuda-io/kuda-node:" + tag}}}}},
		Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: wanted, NumberReady: ready},
	}
}

func TestWhatIsWrongWithKudaNodeIsFound(t *testing.T) {
	waiting := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0"}, Status: corev1.PodStatus{Phase: corev1.PodPending},
		Spec: corev1.PodSpec{NodeName: "node-a", Volumes: []corev1.Volume{{Name: sidecar.VolumeStore, VolumeSource: corev1.VolumeSource{
			CSI: &corev1.CSIVolumeSource{Driver: sidecar.CSIDriver}}}}}}
	event := func(age time.Duration) client.Object {
		return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0.1"}, Reason: "FailedMount",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "web-0"}, LastTimestamp: metav1.NewTime(now.Add(-age)),
			Message: "driver name data.kuda.io not found in the list of registered CSI drivers"}
	}
	driver := func(change func(*storagev1.CSIDriverSpec)) client.Object {
		d := withNode(t)["driver"].(*storagev1.CSIDriver)
		change(&d.Spec)
		return d
	}
	for name, c := range map[string]struct {
		with    map[string]client.Object
		want    string
		without string
		code    int
	}{
		"nothing": {nil, "the kubelets of 2 nodes know kuda-node's driver", "warning ", frame.ExitDone},
		"a node without": {map[string]client.Object{"node-b": csiNode("node-b", "other.example.com")},
			"the kubelet of node-b does not know", "node-a", frame.ExitDone},
		"no pod information": {map[string]client.Object{"driver": driver(func(s *storagev1.CSIDriverSpec) { s.PodInfoOnMount = new(false) })},
			"CSIDriver data.kuda.io: has podInfoOnMount: false", "", frame.ExitNegative},
		"groups of files": {map[string]client.Object{"driver": driver(func(s *storagev1.CSIDriverSpec) {
			s.FSGroupPolicy = new(storagev1.FileFSGroupPolicy)
		})}, "has an fsGroupPolicy that is not None", "", frame.ExitNegative},
		"no driver": {map[string]client.Object{"driver": nil}, "CSIDriver data.kuda.io: is not there", "", frame.ExitNegative},
		"not used":  {map[string]client.Object{"config": configOf("storeMode: Auto")}, "does not name kuda-node's driver", "", frame.ExitDone},
		"no policy": {map[string]client.Object{"policy": nil},
			"ValidatingAdmissionPolicy kuda-node-volumes: is not in force", "", frame.ExitNegative},
		"no binding": {map[string]client.Object{"binding": nil}, "ValidatingAdmissionPolicy kuda-node-volumes: is not in force", "",
			frame.ExitNegative},
		"another image": {map[string]client.Object{"config": configOf("nodeDriver: data.kuda.io\nruntimeImage: mirror/kuda-runtime:v9")},
			"does not name mirror/kuda-runtime:v9", "", frame.ExitNegative},
		"in part": {map[string]client.Object{"daemonset": daemonSet("v0.0.9", 2, 2)},
			"is v0.0.9, kuda-manager v0.1.0", "", frame.ExitDone},
		"not everywhere": {map[string]client.Object{"daemonset": daemonSet("v0.1.0", 2, 1)}, "is ready on 1 of 2 nodes", "", frame.ExitDone},
		"nowhere": {map[string]client.Object{"daemonset": daemonSet("v0.1.0", 2, 0)},
			"is ready on 0 of 2 nodes", "", frame.ExitNegative},
		"a pod that waits": {map[string]client.Object{"pod": waiting, "event": event(time.Minute)},
			"Pod shop/web-0: waits for its volumes", "", frame.ExitNegative},
		"a pod that waited": {map[string]client.Object{"pod": waiting, "event": event(time.Hour)},
			"the kubelets of 2 nodes", "waits for its volumes",
			frame.ExitDone},
		"a pod that is gone": {map[string]client.Object{"event": event(time.Minute)},
			"the kubelets of 2 nodes", "waits for its volumes", frame.ExitDone},
	} {
		t.Run(name, func(t *testing.T) {
			parts := withNode(t)
			for key, o := range c.with {
				parts[key] = o
			}
			objects := sound(t)
			for _, o := range parts {
				if o != nil {
					objects = append(objects, o)
				}
			}
			out, err := cluster{objects: objects, probe: errRefused}.run(t)
			clitest.WantExit(t, err, c.code)
			if !strings.Contains(out, c.want) || c.without != "" && strings.Contains(out, c.without) {
				t.Errorf("want %q and not %q in\n%s", c.want, c.without, out)
			}
		})
	}
}

func TestOfKudaNodeNothingIsSaidWhereItIsNotUsed(t *testing.T) {
	out, err := cluster{objects: append(sound(t), configOf("storeMode: Auto")), probe: errRefused}.run(t)
	clitest.WantExit(t, err, frame.ExitDone)
	if strings.Contains(out, "kuda-node") {
		t.Errorf("printed\n%s", out)
	}
}

func TestAnAPIServerThatForbidsHostPathByItselfIsFound(t *testing.T) {
	violates := errors.New(`pods "kuda-doctor-x" is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (volume "host")`)
	for name, c := range map[string]struct {
		config string
		answer error
		found  bool
	}{
		"forbidden":               {"storeMode: Auto", violates, true},
		"admitted":                {"storeMode: Auto", nil, false},
		"forbidden to the user":   {"storeMode: Auto", errors.New("pods is forbidden: User \"x\" cannot create"), false},
		"known":                   {"podSecurityDefault: baseline", violates, false},
		"stores of the pods' own": {"storeMode: Pod", violates, false},
	} {
		out, err := cluster{objects: append(sound(t), configOf(c.config)), probe: errRefused, hostPath: c.answer}.run(t)
		found := strings.Contains(out, "podSecurityDefault: baseline")
		if found != c.found || (frame.Code(err) == frame.ExitNegative) != c.found {
			t.Errorf("%s: exit %v, printed\n%s", name, err, out)
		}
	}
}
