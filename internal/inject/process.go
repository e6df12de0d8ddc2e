// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// sharesProcesses reports whether containers of the pod see the processes of the
// others, the runtime's among them.
func sharesProcesses(spec *corev1.PodSpec) bool {
	return spec.HostPID || spec.ShareProcessNamespace != nil && *spec.ShareProcessNamespace
}

// Warnings returns what the creator of a pod that was injected for these DataSets,
// under these settings, should know of it.
func Warnings(pod *corev1.Pod, settings *Settings, dataSets []*v1alpha1.DataSet) []string {
	return slices.Concat(processWarnings(pod), portWarnings(pod, settings.ServerPort), orderWarnings(pod), modeWarnings(pod, dataSets))
}

func processWarnings(pod *corev1.Pod) []string {
	if !sharesProcesses(&pod.Spec) {
		return nil
	}
	setting := "shareProcessNamespace"
	if pod.Spec.HostPID {
		setting = "hostPID"
	}
	warnings := []string{"Kuda gives this pod a store of its own, because its containers see the runtime's process (" + setting +
		"): its data is downloaded for this pod alone. A container with the capability SYS_PTRACE can still read the credentials of its sources."}
	isPlugin := func(c corev1.Container) bool { return strings.HasPrefix(c.Name, sidecar.PluginPrefix) }
	if slices.ContainsFunc(pod.Spec.InitContainers, isPlugin) {
		warnings = append(warnings, "The containers of this pod can read the files and the memory of its source plugins, credentials included, "+
			"where they run as the same user (65532) or as root; take "+setting+" out to keep them apart.")
	}
	return warnings
}
