// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// defaultDataPath is the configuration's default of dataPathPrefix.
const defaultDataPath = "/kuda/data"

// Obstacle returns what in a pod keeps Kuda from injecting it, whenever it is
// created; empty when nothing does. It runs the checks of Inject that look at
// nothing but the pod. dataPath is where applications find their data; empty: the
// default.
func Obstacle(pod *corev1.Pod, dataPath string) string {
	if why := skipReason(pod); why != "" {
		return string(why)
	}
	if err := checkNames(pod); err != nil {
		return err.Error()
	}
	if dataPath == "" {
		dataPath = defaultDataPath
	}
	p := plan{Request: Request{Pod: pod, Settings: Settings{DataPath: dataPath}}, uid: fieldEnv(sidecar.EnvPodUID, "metadata.uid")}
	// The runtime would be the first init container.
	if err := p.setApplications(pod.Spec.DeepCopy(), 0); err != nil {
		return err.Error()
	}
	return ""
}
