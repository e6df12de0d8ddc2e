// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import corev1 "k8s.io/api/core/v1"

// Lifecycle is what to do around a change of data.
type Lifecycle struct {
	// Runs before the first byte of a new version is downloaded. It is left out
	// at a pod's first delivery, when the application does not run yet.
	// +optional
	PreDownload *LifecycleHandler `json:"preDownload,omitempty"`

	// Runs after the new version is in the view; at a pod's first delivery as
	// soon as the container runs. At least once: it must bear being run again.
	// +optional
	PostDownload *LifecycleHandler `json:"postDownload,omitempty"`
}

// LifecycleHandler is one action; exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.exec) != has(self.httpGet)",message="set exactly one of exec and httpGet"
// +kubebuilder:validation:XValidation:rule="!has(self.exec) || (has(self.exec.command) && self.exec.command.size() > 0)",message="exec.command: must have at least one word"
// +kubebuilder:validation:XValidation:rule="!has(self.httpGet) || !has(self.httpGet.host) || self.httpGet.host.size() == 0",message="httpGet.host: leave it out; hooks call the pod's own containers"
// +kubebuilder:validation:XValidation:rule="!has(self.httpGet) || type(self.httpGet.port) == int",message="httpGet.port: must be a number"
type LifecycleHandler struct {
	// Runs a command in a container of the pod (the item's container, or the
	// pod's first). Exit status 0 is success.
	// +optional
	Exec *corev1.ExecAction `json:"exec,omitempty"`

	// Calls a container of the pod over localhost. A status from 200 to 399 is success.
	// +optional
	HTTPGet *corev1.HTTPGetAction `json:"httpGet,omitempty"`
}
