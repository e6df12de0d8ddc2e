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

// setApplications gives the containers that start after the runtime, which is at
// the given place, the pod's view. An init container before it runs before there is a
// view: other webhooks may put their own there, and the pod may want it so. Such a
// container gets no mount, and the one that it has from an earlier call is taken out:
// with it the kubelet would make the view's directory, in which the runtime may not write.
func (p plan) setApplications(spec *corev1.PodSpec, runtime int) error {
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if isOwnContainer(c.Name) {
			continue
		}
		if err := p.checkMounts(c); err != nil {
			return err
		}
		if i < runtime {
			c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, isView)
			continue
		}
		if err := p.setView(c); err != nil {
			return err
		}
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if err := p.checkMounts(c); err != nil {
			return err
		}
		if err := p.setView(c); err != nil {
			return err
		}
	}
	return nil
}

// setView gives a container the pod's view, read-only, the variable that the
// mount's path is made of, if it is, and the one that tells the port of the local API.
// Nothing else that the container has is changed.
func (p plan) setView(c *corev1.Container) error {
	c.Env = slices.Grow(c.Env, 2)
	if !p.usesDriver() {
		if err := setPodUID(c, p.uid); err != nil {
			return err
		}
	}
	setVariable(c, p.port)
	view := newViewMount(&p)
	if at := findView(c); at >= 0 {
		c.VolumeMounts[at] = view
		return nil
	}
	c.VolumeMounts = append(c.VolumeMounts, view)
	return nil
}

// setPodUID gives a container the variable that holds the pod's UID, which the path of
// its mount is made of.
func setPodUID(c *corev1.Container, uid corev1.EnvVar) error {
	have := false
	for i := range c.Env {
		if c.Env[i].Name != uid.Name {
			continue
		}
		if from := c.Env[i].ValueFrom; from == nil || from.FieldRef == nil || from.FieldRef.FieldPath != uid.ValueFrom.FieldRef.FieldPath {
			return fmt.Errorf("container %s defines %s as something else than the pod's UID; choose another name for it", c.Name, uid.Name)
		}
		c.Env[i], have = uid, true
	}
	if !have {
		c.Env = append(c.Env, uid)
	}
	return nil
}

// setVariable gives a container the variable, in the place of the one of that name.
func setVariable(c *corev1.Container, variable corev1.EnvVar) {
	have := false
	for i := range c.Env {
		if c.Env[i].Name == variable.Name {
			c.Env[i], have = variable, true
		}
	}
	if !have {
		c.Env = append(c.Env, variable)
	}
}

// findView returns the place of the mount of the view among a container's; -1 if
// there is none.
func findView(c *corev1.Container) int {
	return slices.IndexFunc(c.VolumeMounts, isView)
}

// isView reports whether a mount of an application is one by which it gets its view.
func isView(m corev1.VolumeMount) bool {
	return m.Name == sidecar.VolumeStore || m.Name == sidecar.VolumeView
}

// checkMounts refuses a container that mounts something at the data path, or
// below it: the view is read-only, so there is no directory to mount on. Nor is there
// one for the view where something read-only is mounted above it. It
// also refuses one that mounts Kuda's volumes itself at another place, or one of
// them twice, where it would see more than its view.
func (p plan) checkMounts(c *corev1.Container) error {
	data := p.Settings.DataPath
	views := 0
	for _, m := range c.VolumeMounts {
		at := path.Clean(m.MountPath)
		inside := at == data || strings.HasPrefix(at, data+"/")
		switch {
		case isView(m) && at == data:
			if views++; views > 1 {
				return fmt.Errorf("container %s mounts Kuda's volume %s at %s more than once; take these mounts out", c.Name, m.Name, at)
			}
		case isOwnVolume(m.Name):
			return fmt.Errorf("container %s mounts Kuda's volume %s at %s; take that mount out", c.Name, m.Name, at)
		case mountCovers(at, data) && p.offersNoDirectory(&m):
			return fmt.Errorf("container %s mounts volume %s read-only at %s, above %s where Kuda puts its data, so that no directory can be made "+
				"there; mount it elsewhere or writable", c.Name, m.Name, at, data)
		case inside:
			return fmt.Errorf("container %s mounts volume %s at %s, where Kuda puts its data (%s); mount it elsewhere", c.Name, m.Name, at, data)
		}
	}
	for _, d := range c.VolumeDevices {
		at := path.Clean(d.DevicePath)
		switch {
		case isOwnVolume(d.Name):
			return fmt.Errorf("container %s has Kuda's volume %s as device %s; take that device out", c.Name, d.Name, at)
		case at == data || strings.HasPrefix(at, data+"/") || mountCovers(at, data):
			return fmt.Errorf("container %s has device %s at %s, where Kuda puts its data (%s); put it elsewhere", c.Name, d.Name, at, data)
		}
	}
	return nil
}

// mountCovers reports whether a mount at the one path holds the directory of the other.
func mountCovers(at, data string) bool {
	return at == "/" || strings.HasPrefix(data, at+"/")
}

// offersNoDirectory reports whether no directory can be made in what is mounted. In
// ConfigMaps and the like the kubelet itself makes those that other mounts need,
// but not where a part of one is mounted.
func (p plan) offersNoDirectory(m *corev1.VolumeMount) bool {
	readOnly, part := m.ReadOnly, m.SubPath != "" || m.SubPathExpr != ""
	for i := range p.Pod.Spec.Volumes {
		v := &p.Pod.Spec.Volumes[i]
		if v.Name != m.Name {
			continue
		}
		if v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil {
			return part
		}
		return readOnly || v.Image != nil || v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly ||
			v.CSI != nil && v.CSI.ReadOnly != nil && *v.CSI.ReadOnly
	}
	return readOnly
}
