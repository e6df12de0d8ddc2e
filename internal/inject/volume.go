// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// tokenLifetime of the projected token; the kubelet renews it at four fifths.
const tokenLifetime int64 = 3600

// apiTokenDir is where the API server mounts the service account's own token into
// every container that mounts nothing there. The runtime mounts its own token,
// which the Kubernetes API does not accept, so that it has no rights there.
const apiTokenDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// mounts are the names of what the sources of the DataSets refer to, sorted.
type mounts struct {
	secrets, configMaps []string
}

func mountsOf(dataSets []*v1alpha1.DataSet) mounts {
	secrets, configMaps := map[string]struct{}{}, map[string]struct{}{}
	add := func(secret *v1alpha1.SecretReference, ca *v1alpha1.CAReference) {
		if secret != nil {
			secrets[secret.Name] = struct{}{}
		}
		if ca != nil {
			configMaps[ca.Name] = struct{}{}
		}
	}
	for _, ds := range dataSets {
		sources := ds.Spec.Template.DataSources
		for _, s3 := range []*v1alpha1.S3DataSource{sources.MinIO, sources.Ceph, sources.S3} {
			if s3 != nil {
				add(s3.SecretRef, s3.CARef)
			}
		}
		if sources.HTTP != nil {
			add(sources.HTTP.SecretRef, sources.HTTP.CARef)
		}
	}
	return mounts{secrets: slices.Sorted(maps.Keys(secrets)), configMaps: slices.Sorted(maps.Keys(configMaps))}
}

// volumes are all of Kuda's. What the API server would fill in is filled in
// here already, so that a second call finds what it would have made.
func (p plan) volumes() []corev1.Volume {
	volumes := []corev1.Volume{p.storeVolume(), tokenVolume()}
	for _, name := range p.mounts.secrets {
		volumes = append(volumes, corev1.Volume{
			Name: volumeName(sidecar.VolumeSecretPrefix, name),
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName: name, Optional: new(true), DefaultMode: new(corev1.SecretVolumeSourceDefaultMode),
			}},
		})
	}
	for _, name := range p.mounts.configMaps {
		volumes = append(volumes, corev1.Volume{
			Name: volumeName(sidecar.VolumeCAPrefix, name),
			VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: name},
				Optional:             new(true), DefaultMode: new(corev1.ConfigMapVolumeSourceDefaultMode),
			}},
		})
	}
	return volumes
}

func (p plan) storeVolume() corev1.Volume {
	volume := corev1.Volume{Name: sidecar.VolumeStore}
	if p.store == v1alpha1.StorePod {
		volume.EmptyDir = &corev1.EmptyDirVolumeSource{SizeLimit: p.Settings.PodStoreSizeLimit}
		return volume
	}
	volume.HostPath = &corev1.HostPathVolumeSource{
		Path: path.Join(p.Settings.HostPath, p.Namespace.Name),
		Type: new(corev1.HostPathDirectoryOrCreate),
	}
	return volume
}

func tokenVolume() corev1.Volume {
	return corev1.Volume{
		Name: sidecar.VolumeToken,
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(corev1.ProjectedVolumeSourceDefaultMode),
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience:          sidecar.TokenAudience,
				ExpirationSeconds: new(tokenLifetime),
				Path:              path.Base(sidecar.TokenPath),
			}}},
		}},
	}
}

// volumeName is a name that fits into a volume's (63 characters), whatever the
// length of the object's.
func volumeName(prefix, object string) string {
	sum := sha256.Sum256([]byte(object))
	return prefix + hex.EncodeToString(sum[:8])
}

func (p plan) sidecarMounts() []corev1.VolumeMount {
	mounts := []corev1.VolumeMount{
		{Name: sidecar.VolumeStore, MountPath: sidecar.StoreRoot},
		{Name: sidecar.VolumeToken, MountPath: sidecar.TokenDir, ReadOnly: true},
		{Name: sidecar.VolumeToken, MountPath: apiTokenDir, ReadOnly: true},
	}
	for _, name := range p.mounts.secrets {
		mounts = append(mounts, corev1.VolumeMount{
			Name: volumeName(sidecar.VolumeSecretPrefix, name), MountPath: path.Join(sidecar.SecretsDir, name), ReadOnly: true,
		})
	}
	for _, name := range p.mounts.configMaps {
		mounts = append(mounts, corev1.VolumeMount{
			Name: volumeName(sidecar.VolumeCAPrefix, name), MountPath: path.Join(sidecar.CADir, name), ReadOnly: true,
		})
	}
	return mounts
}
