// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package datalocality

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
)

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func container(requests ...string) corev1.Container {
	return corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: quantities(requests...)}}
}

// requesting makes a pod of containers that request so much.
func requesting(containers ...corev1.Container) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Containers = containers }
}

func TestFitAgreesWithNodeResourcesFit(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	busy := func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{container("cpu", "1", "memory", "1Gi")} }
	for _, tc := range []struct {
		name    string
		node    corev1.ResourceList
		running []*corev1.Pod
		pod     func(*corev1.Pod)
		want    bool
	}{
		{"all that is left", quantities("cpu", "3", "memory", "4Gi", "pods", "9"), []*corev1.Pod{newPod("r", busy)},
			requesting(container("cpu", "2", "memory", "3Gi")), true},
		{"more cpu", quantities("cpu", "3", "memory", "4Gi", "pods", "9"), []*corev1.Pod{newPod("r", busy)},
			requesting(container("cpu", "2001m")), false},
		{"more memory", quantities("cpu", "3", "memory", "4Gi", "pods", "9"), []*corev1.Pod{newPod("r", busy)},
			requesting(container("memory", "3073Mi")), false},
		{"more storage", quantities("ephemeral-storage", "1Gi", "pods", "9"), nil, requesting(container("ephemeral-storage", "2Gi")), false},
		{"nothing, where there is less than nothing", quantities("pods", "9"), []*corev1.Pod{newPod("r", busy)}, requesting(container()), true},
		{"two containers", quantities("cpu", "3", "pods", "9"), nil, requesting(container("cpu", "2"), container("cpu", "2")), false},
		{"an init container", quantities("cpu", "3", "pods", "9"), nil, func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{container("cpu", "4")}
		}, false},
		{"an init container that stays", quantities("cpu", "3", "pods", "9"), nil, func(p *corev1.Pod) {
			stays := container("cpu", "2")
			stays.RestartPolicy = &always
			p.Spec.InitContainers, p.Spec.Containers = []corev1.Container{stays}, []corev1.Container{container("cpu", "2")}
		}, false},
		{"overhead", quantities("cpu", "3", "pods", "9"), nil, func(p *corev1.Pod) {
			p.Spec.Containers, p.Spec.Overhead = []corev1.Container{container("cpu", "3")}, quantities("cpu", "1m")
		}, false},
		{"requests of the pod as a whole", quantities("cpu", "3", "pods", "9"), nil, func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: quantities("cpu", "4")}
		}, false},
		{"the last place", quantities("pods", "2"), pods(1), requesting(), true},
		{"no place", quantities("pods", "1"), pods(1), requesting(), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			info := framework.NewNodeInfo(tc.running...)
			info.SetNode(&corev1.Node{Status: corev1.NodeStatus{Allocatable: tc.node}})
			p := newPod("p", tc.pod)
			if got := guestOf(p).surelyFits(klog.Background(), info); got != tc.want {
				t.Errorf("the node takes the pod: %v, want %v", got, tc.want)
			}
			lacks := noderesources.Fits(p, info, nil, noderesources.ResourceRequestsOptions{EnablePodLevelResources: true})
			if got := len(lacks) == 0; got != tc.want {
				t.Errorf("NodeResourcesFit says it takes it: %v (%v)", got, lacks)
			}
		})
	}
}
