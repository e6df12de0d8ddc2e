// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"math"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// nonRootUser is the user of the images.
const nonRootUser int64 = 65532

// setSidecar puts the runtime first among the init containers and returns its
// place. Where it is already, it stays in its place, and what others have made of
// it stays too, except what it cannot do without.
func (p plan) setSidecar(spec *corev1.PodSpec) int {
	want := p.container(spec)
	at := slices.IndexFunc(spec.InitContainers, func(c corev1.Container) bool { return c.Name == want.Name })
	if at < 0 {
		spec.InitContainers = slices.Insert(spec.InitContainers, 0, want)
		return 0
	}
	have := &spec.InitContainers[at]
	have.RestartPolicy = want.RestartPolicy
	have.StartupProbe = want.StartupProbe
	have.SecurityContext = want.SecurityContext
	have.Args = want.Args
	for _, e := range want.Env {
		setEnv(have, e)
	}
	for _, m := range want.VolumeMounts {
		setMount(have, m)
	}
	return at
}

func (p plan) container(spec *corev1.PodSpec) corev1.Container {
	c := corev1.Container{
		Name:            sidecar.ContainerName,
		Image:           p.Settings.Image,
		ImagePullPolicy: p.Settings.PullPolicy,
		RestartPolicy:   new(corev1.ContainerRestartPolicyAlways),
		Env: []corev1.EnvVar{
			fieldEnv(sidecar.EnvPodName, "metadata.name"),
			fieldEnv(sidecar.EnvPodNamespace, "metadata.namespace"),
			fieldEnv(sidecar.EnvPodUID, "metadata.uid"),
			fieldEnv(sidecar.EnvNodeName, "spec.nodeName"),
			{Name: sidecar.EnvDataSets, Value: p.dataSets()},
			{Name: sidecar.EnvWaitFor, Value: p.waitFor()},
			{Name: sidecar.EnvGatewayAddress, Value: p.Settings.GatewayAddress},
			{Name: sidecar.EnvGatewayCA, Value: string(p.Settings.GatewayCA)},
			{Name: sidecar.EnvServerPort, Value: strconv.Itoa(int(p.Settings.ServerPort))},
			{Name: sidecar.EnvStore, Value: p.store},
			{Name: sidecar.EnvLogLevel, Value: "0"},
		},
		VolumeMounts:             p.sidecarMounts(),
		StartupProbe:             p.startupProbe(),
		Resources:                resources(p.Settings.Resources, spec),
		SecurityContext:          p.securityContext(),
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	quota := p.Settings.NodeStoreQuota
	if p.store == v1alpha1.StorePod {
		quota = p.Settings.PodStoreSizeLimit
	}
	if quota != nil {
		c.Env = append(c.Env, corev1.EnvVar{Name: sidecar.EnvStoreQuota, Value: strconv.FormatInt(quota.Value(), 10)})
	}
	return c
}

// startupProbe holds the application's start back until the data is there,
// however long that takes: giving up would restart the download's process, not
// the download.
func (p plan) startupProbe() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: sidecar.PathReadyz, Port: intstr.FromInt32(p.Settings.ServerPort), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds:    1,
		TimeoutSeconds:   5,
		SuccessThreshold: 1,
		FailureThreshold: math.MaxInt32,
	}
}

// securityContext of the runtime passes Pod Security's restricted level with the pod store. With the
// node store the runtime is root without any capability, because directories of a
// hostPath are root's. Everything that a pod-level context might set otherwise is set.
func (p plan) securityContext() *corev1.SecurityContext {
	if p.store == v1alpha1.StoreNode {
		return confined(0)
	}
	return confined(nonRootUser)
}

// confined is a user without any right but to read and write what is its own.
func confined(user int64) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		RunAsUser:                new(user),
		RunAsGroup:               new(user),
		RunAsNonRoot:             new(user != 0),
		Privileged:               new(false),
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func fieldEnv(name, field string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: field},
	}}
}

// setEnv replaces the variable, or adds it at the end.
func setEnv(c *corev1.Container, env corev1.EnvVar) {
	for i := range c.Env {
		if c.Env[i].Name == env.Name {
			c.Env[i] = env
			return
		}
	}
	c.Env = append(c.Env, env)
}

// setMount replaces the mount at that path, or adds it at the end.
func setMount(c *corev1.Container, mount corev1.VolumeMount) {
	for i := range c.VolumeMounts {
		if c.VolumeMounts[i].MountPath == mount.MountPath {
			c.VolumeMounts[i] = mount
			return
		}
	}
	c.VolumeMounts = append(c.VolumeMounts, mount)
}
