// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// StoreMode says which store pods get.
type StoreMode string

// The store modes.
const (
	// StoreAuto is the node store, except where kuda-node does not make it and the
	// Pod Security level of the namespace forbids hostPath.
	StoreAuto StoreMode = "Auto"
	// StoreNode is the node store everywhere.
	StoreNode StoreMode = "Node"
	// StorePod is the pod store everywhere.
	StorePod StoreMode = "Pod"
)

// Settings are those of the installation.
type Settings struct {
	// Image and PullPolicy of the runtime.
	Image      string
	PullPolicy corev1.PullPolicy
	// PullSecrets are those by which the images of the runtime and of plugins are pulled.
	PullSecrets []corev1.LocalObjectReference
	// HostPath is the directory of the node store.
	HostPath string
	// NodeDriver is the CSI driver that makes node stores: sidecar.CSIDriver, or "",
	// where pods mount them from the node (hostPath).
	NodeDriver string
	// SecurityDefault is the Pod Security level that the API server enforces in
	// namespaces that name none; "" is privileged.
	SecurityDefault string
	// SELinuxLevel is that of runtimes whose store NodeDriver makes; "" leaves it to
	// the container runtime.
	SELinuxLevel string
	// DataPath is where the application finds its data.
	DataPath string
	// ServerPort is the port of the runtime's local API, where no container of the
	// pod declares it.
	ServerPort int32
	// Resources of the runtime.
	Resources corev1.ResourceRequirements
	// Store says which store pods get.
	Store StoreMode
	// PodStoreSizeLimit bounds the pod store; nil is no bound.
	PodStoreSizeLimit *resource.Quantity
	// NodeStoreQuota bounds the snapshots of a namespace's node store on each
	// node; nil is no bound but the room.
	NodeStoreQuota *resource.Quantity
	// NodeStoreReserve is what downloads leave free of the file system, as the
	// runtime reads it (2Gi, 10%); "" leaves it to the runtime.
	NodeStoreReserve string
	// Plugins are the sources that the installation offers, by name.
	Plugins map[string]Plugin
	// Audiences are those for which sources may have tokens.
	Audiences Audiences
	// Affinity says that pods are given preferences for the nodes that hold
	// their data.
	Affinity bool
	// SchedulerName is the scheduler of pods whose data has a say in where they
	// run; "" leaves pods to the scheduler that they name.
	SchedulerName string
	// GatewayAddress is the gateway's host:port.
	GatewayAddress string
	// GatewayCA is what the gateway is checked against (PEM).
	GatewayCA []byte
}

// Plugin is a container that reads a storage system for the runtime.
type Plugin struct {
	Image      string
	PullPolicy corev1.PullPolicy
	Args       []string
	Env        []corev1.EnvVar
	Resources  corev1.ResourceRequirements
}

// Namespace is what has to be known of the pod's namespace. Its name is the
// request's, because a pod that a controller creates does not carry one yet.
type Namespace struct {
	Name string
	// UID tells the namespace from an earlier one of the same name, whose data is
	// not to be found by this one's pods.
	UID    types.UID
	Labels map[string]string
	// Annotations tell the users that OpenShift gave to the namespace.
	Annotations map[string]string
	// Created tells a node store of v0.1.0, whose directory has no UID, from one of an
	// earlier namespace of the same name; zero if it is not known.
	Created time.Time
	// LimitRanges are those of the namespace; they are not changed.
	LimitRanges []*corev1.LimitRange
}

// Request is one pod to be injected.
type Request struct {
	Pod       *corev1.Pod
	Namespace Namespace
	// DataSets are those that select the pod (see Selecting).
	DataSets []*v1alpha1.DataSet
	Settings Settings
	// Preferences are the nodes that hold what the pod wants, the best first.
	Preferences []index.Preference
}

// Selecting returns those of a namespace's DataSets that select a pod with these
// labels, sorted by name. A DataSet that is being deleted selects no new pod. A
// pod that preheats a node for a DataSet has that one and no other.
func Selecting(dataSets []*v1alpha1.DataSet, labels map[string]string) []*v1alpha1.DataSet {
	preheats := labels[v1alpha1.LabelPreheat]
	var selecting []*v1alpha1.DataSet
	for _, ds := range dataSets {
		selected := ds.Name == preheats
		if preheats == "" {
			selected = selectorMatches(ds.Spec.WorkloadSelector, labels)
		}
		if ds.DeletionTimestamp == nil && selected {
			selecting = append(selecting, ds)
		}
	}
	slices.SortFunc(selecting, func(a, b *v1alpha1.DataSet) int { return strings.Compare(a.Name, b.Name) })
	return selecting
}

func selectorMatches(selector, labels map[string]string) bool {
	for key, want := range selector {
		if have, ok := labels[key]; !ok || have != want {
			return false
		}
	}
	return len(selector) > 0
}

// Skip is why a pod is left alone; empty when it is not. A reason is made to be
// shown to the pod's creator.
type Skip string

// Bounds of what a pod may have that is injected. A kubelet starts at most 110 pods by
// default, and nodes attach far fewer volumes than that to each; pods beyond these
// bounds are rare, and one with thousands of empty containers or volumes costs the
// webhook up to 100 ms and 40 MB.
const (
	// MaxContainers is for containers of all kinds.
	MaxContainers = 256
	// MaxVolumes is for volumes of all kinds.
	MaxVolumes = 1024
)

// SkipCrowded returns why a pod with so many containers and volumes is not injected,
// or nothing.
func SkipCrowded(containers, volumes int) Skip {
	switch {
	case containers > MaxContainers:
		return Skip(fmt.Sprintf("it has %d containers, and pods with more than %d are not injected", containers, MaxContainers))
	case volumes > MaxVolumes:
		return Skip(fmt.Sprintf("it has %d volumes, and pods with more than %d are not injected", volumes, MaxVolumes))
	}
	return ""
}

// skipReason reports whether the pod is one that Kuda does not inject.
func skipReason(pod *corev1.Pod) Skip {
	switch {
	case pod.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled:
		return "the pod is labelled " + v1alpha1.LabelInjection + "=" + v1alpha1.InjectionDisabled
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return "static pods are not injected"
	case pod.Spec.HostNetwork:
		return "pods with hostNetwork are not injected, because their runtimes would want the same port of the node"
	case isWindows(&pod.Spec):
		return "Windows pods are not injected"
	}
	return SkipCrowded(len(pod.Spec.InitContainers)+len(pod.Spec.Containers)+len(pod.Spec.EphemeralContainers), len(pod.Spec.Volumes))
}

func isWindows(spec *corev1.PodSpec) bool {
	return spec.OS != nil && spec.OS.Name == corev1.Windows || spec.NodeSelector[corev1.LabelOSStable] == string(corev1.Windows)
}

// dataSetNames lists the DataSets for which keep holds, comma-separated.
func dataSetNames(dataSets []*v1alpha1.DataSet, keep func(*v1alpha1.DataSet) bool) string {
	set := names{}
	for _, ds := range dataSets {
		if keep(ds) {
			set.add(ds.Name)
		}
	}
	return strings.Join(set.sortedNames(), ",")
}
