// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// offeredPlugins are those of the pod's sources that the installation offers. One that
// it does not offer is left out: the runtime says so, in the item's condition.
func (p plan) offeredPlugins() []pluginReference {
	var offered []pluginReference
	for _, plugin := range p.references.plugins {
		if _, ok := p.Settings.Plugins[plugin.name]; ok {
			offered = append(offered, plugin)
		}
	}
	return offered
}

// setPlugins puts the plugins' containers before the runtime, which is at the
// given place, and returns the runtime's place then. A container that is there
// stays in its place if it can, and is made anew.
func (p plan) setPlugins(spec *corev1.PodSpec, runtime int) int {
	for _, plugin := range p.offeredPlugins() {
		if at, there := p.placeContainer(spec, p.pluginContainer(plugin, spec), runtime); !there {
			runtime = at + 1
		}
	}
	return runtime
}

// pluginContainer has a plugin's socket, and what its sources refer to; nothing
// of the store, of the runtime's token or of other sources' credentials.
func (p plan) pluginContainer(r pluginReference, spec *corev1.PodSpec) corev1.Container {
	plugin := p.Settings.Plugins[r.name]
	socket := socketMount(r.name)
	// The second mount keeps the service account's own token out, see apiTokenDir.
	mounts := []corev1.VolumeMount{socket, {Name: socket.Name, MountPath: apiTokenDir, ReadOnly: true}}
	mounts = append(mounts, referenceMounts(r.secrets, r.configMaps)...)
	env := append(slices.Clone(plugin.Env),
		corev1.EnvVar{Name: sidecar.EnvPluginSocket, Value: path.Join(socket.MountPath, sidecar.PluginSocket)})
	return corev1.Container{
		Name:                     sidecar.PluginPrefix + r.name,
		Image:                    plugin.Image,
		ImagePullPolicy:          plugin.PullPolicy,
		Args:                     slices.Clone(plugin.Args),
		RestartPolicy:            new(corev1.ContainerRestartPolicyAlways),
		Env:                      env,
		VolumeMounts:             mounts,
		Resources:                p.resources(plugin.Resources, spec),
		SecurityContext:          unprivilegedContext(p.user),
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

func socketMount(plugin string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: sidecar.PluginPrefix + plugin, MountPath: path.Join(sidecar.PluginsDir, plugin)}
}
