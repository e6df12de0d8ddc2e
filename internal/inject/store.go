// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// labelEnforce is where a namespace names the Pod Security level that holds in it.
const labelEnforce = "pod-security.kubernetes.io/enforce"

// chooseStore picks the pod's store: the value of AnnotationStore. A pod whose processes
// see the runtime's gets one of its own, in which there is nothing of other pods.
func (r *Request) chooseStore(spec *corev1.PodSpec) string {
	if r.optedOutOfNodeStore() || sharesProcesses(spec) {
		return v1alpha1.StorePod
	}
	if r.Settings.Store == StorePod {
		return v1alpha1.StorePod
	}
	if r.Settings.NodeDriver != "" {
		if mapsUsersTwice(spec, r.Namespace.Annotations) {
			return v1alpha1.StorePod
		}
		return v1alpha1.StoreNode
	}
	if r.Settings.Store == StoreNode {
		return v1alpha1.StoreNode
	}
	level, named := r.Namespace.Labels[labelEnforce]
	if !named {
		level = r.Settings.SecurityDefault
	}
	switch level {
	case "baseline", "restricted":
		return v1alpha1.StorePod
	}
	return v1alpha1.StoreNode
}

// optedOutOfNodeStore reports whether the pod, or its namespace, wants a store for the
// pod alone.
func (r *Request) optedOutOfNodeStore() bool {
	return r.Pod.Labels[v1alpha1.LabelStore] == v1alpha1.StorePod || r.Namespace.Labels[v1alpha1.LabelStore] == v1alpha1.StorePod
}

// checkStoreLabel refuses a value of LabelStore that means nothing: who wrote it
// wants something that the pod would not get.
func checkStoreLabel(whose string, labels map[string]string) error {
	value, ok := labels[v1alpha1.LabelStore]
	if !ok || value == v1alpha1.StorePod {
		return nil
	}
	return fmt.Errorf("%s has the label %s=%s; set it to %s, for a store of the pod's own, or take it out", whose, v1alpha1.LabelStore, value,
		v1alpha1.StorePod)
}

// mapsUsersTwice reports whether the users of the pod's volumes would be mapped both by
// kuda-node, for the namespace's users, and for the pod's user namespace. Kernels
// do not map a mount that is mapped already.
func mapsUsersTwice(spec *corev1.PodSpec, annotations map[string]string) bool {
	_, mapped := rangeUser(annotations)
	return mapped && spec.HostUsers != nil && !*spec.HostUsers
}

// usesDriver reports whether kuda-node makes the pod's store and view.
func (p plan) usesDriver() bool {
	return p.store == v1alpha1.StoreNode && p.Settings.NodeDriver != ""
}

// storeRoot is the directory of the store in the runtime's container. A namespace's
// node store is in the directory of the namespace's UID, where no other namespace of
// the same name, earlier or later, looks; kuda-node mounts that directory itself.
func (p plan) storeRoot() string {
	if p.store == v1alpha1.StorePod || p.usesDriver() {
		return sidecar.StoreRoot
	}
	return sidecar.NodeStoreRoot(string(p.Namespace.UID))
}

// storeVolumes are the one with the store and, where it does not hold the view for
// applications to mount, that of the view.
func (p plan) storeVolumes() []corev1.Volume {
	store := corev1.Volume{Name: sidecar.VolumeStore}
	switch {
	case p.usesDriver():
		store.CSI = newDriverVolume(&p, sidecar.CSIKindStore)
		view := newDriverVolume(&p, sidecar.CSIKindView)
		view.ReadOnly = new(true)
		return []corev1.Volume{store, {Name: sidecar.VolumeView, VolumeSource: corev1.VolumeSource{CSI: view}}}
	case p.store == v1alpha1.StorePod:
		store.EmptyDir = &corev1.EmptyDirVolumeSource{SizeLimit: p.Settings.PodStoreSizeLimit}
	default:
		store.HostPath = &corev1.HostPathVolumeSource{
			Path: path.Join(p.Settings.HostPath, p.Namespace.Name),
			Type: new(corev1.HostPathDirectoryOrCreate),
		}
	}
	return []corev1.Volume{store}
}

// newDriverVolume returns one that kuda-node makes.
func newDriverVolume(p *plan, kind string) *corev1.CSIVolumeSource {
	attributes := map[string]string{
		sidecar.AttributeKind: kind, sidecar.AttributeNamespaceUID: string(p.Namespace.UID),
	}
	if p.user != sidecar.RuntimeUser {
		attributes[sidecar.AttributeUser] = fmt.Sprint(p.user)
	}
	return &corev1.CSIVolumeSource{Driver: p.Settings.NodeDriver, VolumeAttributes: attributes}
}

// newViewMount returns that of the pod's view in an application's container.
func newViewMount(p *plan) corev1.VolumeMount {
	mount := corev1.VolumeMount{Name: sidecar.VolumeStore, MountPath: p.Settings.DataPath, ReadOnly: true}
	switch {
	case p.usesDriver():
		mount.Name = sidecar.VolumeView
	case p.store == v1alpha1.StorePod:
		mount.SubPathExpr = sidecar.ViewSubPathExpr
	default:
		mount.SubPathExpr = sidecar.NodeViewSubPathExpr(string(p.Namespace.UID))
	}
	return mount
}
