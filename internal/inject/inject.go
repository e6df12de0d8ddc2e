// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

var errNoIdentity = errors.New("the UID of the pod's namespace is not known, so its data cannot be told from that of an earlier " +
	"namespace of the name; create the pod again")

// Inject returns the pod with the runtime in it. The result is nil when no
// DataSet is given or the pod is one to be left alone, with the reason in the
// latter case. An error says what in the pod stands in the way; its message is made
// to be shown to the pod's creator.
func Inject(req Request) (*corev1.Pod, Skip, error) {
	if len(req.DataSets) == 0 {
		return nil, "", nil
	}
	if why := skipReason(req.Pod); why != "" {
		return nil, why, nil
	}
	if err := checkNames(req.Pod); err != nil {
		return nil, "", err
	}
	if req.Namespace.UID == "" {
		return nil, "", errNoIdentity
	}
	if err := checkStoreLabel("the pod's namespace", req.Namespace.Labels); err != nil {
		return nil, "", err
	}
	pod := req.Pod.DeepCopy()
	port, err := serverPort(req.Settings.ServerPort, &pod.Spec)
	if err != nil {
		return nil, "", err
	}
	req.Settings.ServerPort = port
	p := plan{
		Request:    req,
		store:      req.chooseStore(&pod.Spec),
		user:       userOf(&req.Namespace),
		references: referencesOf(req.DataSets),
		uid:        fieldEnv(sidecar.EnvPodUID, "metadata.uid"),
		port:       portVariable(port),
	}
	p.references.audiences = req.Settings.Audiences.allowedAudiences(p.references.audiences)
	p.removeStale(&pod.Spec)
	for _, volume := range p.kudaVolumes() {
		setVolume(&pod.Spec, volume)
	}
	at := p.setSidecar(&pod.Spec)
	at = p.setPlugins(&pod.Spec, at)
	if why := p.keepLimitRanges(&pod.Spec); why != "" {
		return nil, why, nil
	}
	if err := p.setApplications(&pod.Spec, at); err != nil {
		return nil, "", err
	}
	if p.isPreheat() {
		for i := range pod.Spec.Containers {
			p.setImage(&pod.Spec.Containers[i])
		}
	}
	p.setPullSecrets(&pod.Spec)
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	delete(pod.Annotations, v1alpha1.AnnotationNotInjected)
	pod.Annotations[v1alpha1.AnnotationInjected] = p.dataSets()
	pod.Annotations[v1alpha1.AnnotationStore] = p.store
	p.setEvictable(pod)
	p.setPlacement(pod)
	return pod, "", nil
}

// plan is a request with what follows from it.
type plan struct {
	Request
	store      string
	references references
	// user runs Kuda's containers, and owns what they deliver, but where the store is
	// mounted from the node.
	user int64
	// uid and port are variables of every container; uid is not of those whose view
	// kuda-node makes.
	uid, port corev1.EnvVar
}

func (p plan) dataSets() string {
	return dataSetNames(p.DataSets, func(*v1alpha1.DataSet) bool { return true })
}

// waitFor are those that the pod's start waits for. A pod that preheats a node
// ends when it has started.
func (p plan) waitFor() string {
	return dataSetNames(p.DataSets, func(ds *v1alpha1.DataSet) bool {
		return ds.Spec.StartPolicy != v1alpha1.StartPolicyImmediately || p.isPreheat()
	})
}

func (p plan) isPreheat() bool { return p.Pod.Labels[v1alpha1.LabelPreheat] != "" }

// setImage gives the container of a pod that Kuda makes the image that is on the
// node anyway.
func (p plan) setImage(c *corev1.Container) {
	if c.Image == sidecar.PreheatImage {
		c.Image, c.ImagePullPolicy = p.Settings.Image, p.Settings.PullPolicy
	}
}

// setPullSecrets adds the installation's pull secrets after those of the pod, which
// the API server has filled in from its service account.
func (p plan) setPullSecrets(spec *corev1.PodSpec) {
	for _, secret := range p.Settings.PullSecrets {
		if !slices.Contains(spec.ImagePullSecrets, secret) {
			spec.ImagePullSecrets = append(spec.ImagePullSecrets, secret)
		}
	}
}

// setVolume replaces the volume of that name, or adds it at the end.
func setVolume(spec *corev1.PodSpec, volume corev1.Volume) {
	for i := range spec.Volumes {
		if spec.Volumes[i].Name == volume.Name {
			spec.Volumes[i] = volume
			return
		}
	}
	spec.Volumes = append(spec.Volumes, volume)
}
