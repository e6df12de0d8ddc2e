// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// setApplication gives a container of the application the pod's view, read-only,
// and the variable that the mount's path is made of. Nothing that the container has is
// changed.
func (p plan) setApplication(c *corev1.Container) error {
	if err := p.checkMounts(c); err != nil {
		return err
	}
	uid := fieldEnv(sidecar.EnvPodUID, "metadata.uid")
	have := false
	for i := range c.Env {
		if c.Env[i].Name != uid.Name {
			continue
		}
		if from := c.Env[i].ValueFrom; from == nil || from.FieldRef == nil || from.FieldRef.FieldPath != uid.ValueFrom.FieldRef.FieldPath {
			return fmt.Errorf("container %s defines %s as something else than the pod's UID; choose another name for it", c.Name, uid.Name)
		}
		have = true
	}
	if !have {
		c.Env = append(c.Env, uid)
	}
	view := corev1.VolumeMount{
		Name:        sidecar.VolumeStore,
		MountPath:   p.Settings.DataPath,
		SubPathExpr: sidecar.ViewSubPathExpr,
		ReadOnly:    true,
	}
	for i := range c.VolumeMounts {
		if c.VolumeMounts[i].Name == sidecar.VolumeStore {
			c.VolumeMounts[i] = view
			return nil
		}
	}
	c.VolumeMounts = append(c.VolumeMounts, view)
	return nil
}

// checkMounts refuses a container that mounts something at the data path, or
// below it: the view is read-only, so there is no directory to mount on. It
// also refuses one that mounts Kuda's volumes itself at another place, where
// it would see more than its view.
func (p plan) checkMounts(c *corev1.Container) error {
	data := p.Settings.DataPath
	for _, m := range c.VolumeMounts {
		at := path.Clean(m.MountPath)
		inside := at == data || strings.HasPrefix(at, data+"/")
		own := m.Name == sidecar.VolumeStore && at == data && m.SubPathExpr == sidecar.ViewSubPathExpr
		switch {
		case own:
		case inside:
			return fmt.Errorf("container %s mounts volume %s at %s, where Kuda puts its data (%s); mount it elsewhere", c.Name, m.Name, at, data)
		case isOwnVolume(m.Name):
			return fmt.Errorf("container %s mounts Kuda's volume %s at %s; take that mount out", c.Name, m.Name, at)
		}
	}
	for _, d := range c.VolumeDevices {
		if at := path.Clean(d.DevicePath); at == data || strings.HasPrefix(at, data+"/") {
			return fmt.Errorf("container %s has device %s at %s, where Kuda puts its data (%s); put it elsewhere", c.Name, d.Name, at, data)
		}
	}
	return nil
}

func isOwnVolume(name string) bool {
	if name == sidecar.VolumeStore || name == sidecar.VolumeToken {
		return true
	}
	return slices.ContainsFunc([]string{
		sidecar.VolumeSecretPrefix, sidecar.VolumeCAPrefix, sidecar.VolumeClaimPrefix, sidecar.VolumeIdentityPrefix, sidecar.PluginPrefix,
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// isOwnContainer tells the runtime and the plugins from everybody else's.
func isOwnContainer(name string) bool {
	return name == sidecar.ContainerName || strings.HasPrefix(name, sidecar.PluginPrefix)
}
