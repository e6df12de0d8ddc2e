// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sourcekind"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// tokenLifetime of the projected token; the kubelet renews it at four fifths.
const tokenLifetime int64 = 3600

// apiTokenDir is where the API server mounts the service account's own token into
// every container that mounts nothing there. The runtime mounts its own token,
// which the Kubernetes API does not accept, so that it has no rights there.
const apiTokenDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// references are the names of what the sources of the DataSets refer to; each
// list is sorted and has a name once.
type references struct {
	// Mounted into the runtime.
	secrets, configMaps, claims []string
	// audiences of tokens of the pod's service account, for the runtime.
	audiences []string
	plugins   []pluginReference
}

// pluginReference is one plugin that the pod needs, and what it alone mounts.
type pluginReference struct {
	name                string
	secrets, configMaps []string
}

func referencesOf(dataSets []*v1alpha1.DataSet) references {
	runtime, plugins := mounts{}, map[string]mounts{}
	for _, ds := range dataSets {
		for _, s := range sourcekind.Describe(&ds.Spec.Template.DataSources, nil) {
			mounted := runtime
			for _, plugin := range s.ReferencesTo(sourcekind.Plugin) {
				if plugins[plugin.Name] == nil {
					plugins[plugin.Name] = mounts{}
				}
				mounted = plugins[plugin.Name]
			}
			for _, r := range s.References {
				mounted.add(r)
			}
		}
	}
	r := references{
		secrets: runtime.sortedNames(sourcekind.Secret), configMaps: runtime.sortedNames(sourcekind.ConfigMap),
		claims: runtime.sortedNames(sourcekind.Claim), audiences: runtime.sortedNames(sourcekind.Audience),
	}
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		r.plugins = append(r.plugins, pluginReference{
			name: name, secrets: plugins[name].sortedNames(sourcekind.Secret), configMaps: plugins[name].sortedNames(sourcekind.ConfigMap),
		})
	}
	return r
}

// mounts are the references of a container, by their kinds.
type mounts map[sourcekind.ReferenceKind]names

func (m mounts) add(r sourcekind.Reference) {
	if m[r.Kind] == nil {
		m[r.Kind] = names{}
	}
	m[r.Kind].add(r.Name)
}

func (m mounts) sortedNames(kind sourcekind.ReferenceKind) []string { return m[kind].sortedNames() }

// names is a set.
type names map[string]struct{}

func (n names) add(name string) { n[name] = struct{}{} }

func (n names) sortedNames() []string { return slices.Sorted(maps.Keys(n)) }

// kudaVolumes are all of Kuda's. What the API server would fill in is filled in
// here already, so that a second call finds what it would have made.
func (p plan) kudaVolumes() []corev1.Volume {
	volumes := append(p.storeVolumes(), tokenVolume(sidecar.VolumeToken, sidecar.TokenAudience, path.Base(sidecar.TokenPath)))
	secrets, configMaps := names{}, names{}
	for _, name := range p.references.secrets {
		secrets.add(name)
	}
	for _, name := range p.references.configMaps {
		configMaps.add(name)
	}
	for _, plugin := range p.offeredPlugins() {
		for _, name := range plugin.secrets {
			secrets.add(name)
		}
		for _, name := range plugin.configMaps {
			configMaps.add(name)
		}
	}
	for _, name := range secrets.sortedNames() {
		volumes = append(volumes, corev1.Volume{
			Name: volumeName(sidecar.VolumeSecretPrefix, name),
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: name, Optional: new(true), DefaultMode: new(corev1.SecretVolumeSourceDefaultMode),
			}},
		})
	}
	for _, name := range configMaps.sortedNames() {
		volumes = append(volumes, corev1.Volume{
			Name: volumeName(sidecar.VolumeCAPrefix, name),
			VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: name},
				Optional:             new(true), DefaultMode: new(corev1.ConfigMapVolumeSourceDefaultMode),
			}},
		})
	}
	for _, name := range p.references.claims {
		volumes = append(volumes, corev1.Volume{
			Name: volumeName(sidecar.VolumeClaimPrefix, name),
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: name, ReadOnly: true,
			}},
		})
	}
	for _, audience := range p.references.audiences {
		volumes = append(volumes, tokenVolume(volumeName(sidecar.VolumeIdentityPrefix, audience), audience, sidecar.IdentityFile))
	}
	for _, plugin := range p.offeredPlugins() {
		volumes = append(volumes, corev1.Volume{
			Name: sidecar.PluginPrefix + plugin.name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
	}
	return volumes
}

func tokenVolume(name, audience, file string) corev1.Volume {
	return corev1.Volume{
		Name: name,
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(corev1.ProjectedVolumeSourceDefaultMode),
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience:          audience,
				ExpirationSeconds: new(tokenLifetime),
				Path:              file,
			}}},
		}},
	}
}

// volumeName is a name that fits into a volume's (63 characters), whatever the
// length of the object's.
func volumeName(prefix, object string) string { return prefix + sidecar.ShortHash(object) }

func (p plan) sidecarMounts() []corev1.VolumeMount {
	mounts := []corev1.VolumeMount{
		{Name: sidecar.VolumeStore, MountPath: sidecar.StoreRoot},
		{Name: sidecar.VolumeToken, MountPath: sidecar.TokenDir, ReadOnly: true},
		{Name: sidecar.VolumeToken, MountPath: apiTokenDir, ReadOnly: true},
	}
	mounts = append(mounts, referenceMounts(p.references.secrets, p.references.configMaps)...)
	for _, name := range p.references.claims {
		mounts = append(mounts, corev1.VolumeMount{
			Name: volumeName(sidecar.VolumeClaimPrefix, name), MountPath: path.Join(sidecar.ClaimsDir, name), ReadOnly: true,
		})
	}
	for _, audience := range p.references.audiences {
		mounts = append(mounts, corev1.VolumeMount{
			Name:      volumeName(sidecar.VolumeIdentityPrefix, audience),
			MountPath: path.Join(sidecar.IdentityDir, sidecar.ShortHash(audience)), ReadOnly: true,
		})
	}
	for _, plugin := range p.offeredPlugins() {
		mounts = append(mounts, socketMount(plugin.name))
	}
	return mounts
}

// referenceMounts are those of Secrets and ConfigMaps.
func referenceMounts(secrets, configMaps []string) []corev1.VolumeMount {
	var mounts []corev1.VolumeMount
	for _, name := range secrets {
		mounts = append(mounts, corev1.VolumeMount{
			Name: volumeName(sidecar.VolumeSecretPrefix, name), MountPath: path.Join(sidecar.SecretsDir, name), ReadOnly: true,
		})
	}
	for _, name := range configMaps {
		mounts = append(mounts, corev1.VolumeMount{
			Name: volumeName(sidecar.VolumeCAPrefix, name), MountPath: path.Join(sidecar.CADir, name), ReadOnly: true,
		})
	}
	return mounts
}
