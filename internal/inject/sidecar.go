// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"math"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// setSidecar puts the runtime first among the init containers, or after the sidecars
// that the pod names, and returns its place. Where it is already, it stays in its place
// if it can, and is made anew: nothing that the pod brings under the runtime's name
// stays but resources that others raised.
func (p plan) setSidecar(spec *corev1.PodSpec) int {
	at, _ := p.placeContainer(spec, p.runtimeContainer(spec), 0)
	return at
}

func (p plan) runtimeContainer(spec *corev1.PodSpec) corev1.Container {
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
			p.port,
			{Name: sidecar.EnvStore, Value: p.store},
			{Name: sidecar.EnvStoreRoot, Value: p.storeRoot()},
			{Name: sidecar.EnvLogLevel, Value: "0"},
		},
		VolumeMounts:             p.sidecarMounts(),
		StartupProbe:             p.startupProbe(),
		Resources:                p.resources(p.Settings.Resources, spec),
		SecurityContext:          p.securityContext(),
		TerminationMessagePath:   corev1.TerminationMessagePathDefault,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	c.Env = append(c.Env, listStoreVariables(&p)...)
	return c
}

// listStoreVariables returns those that only some stores need.
func listStoreVariables(p *plan) []corev1.EnvVar {
	var env []corev1.EnvVar
	add := func(name, value string) { env = append(env, corev1.EnvVar{Name: name, Value: value}) }
	switch {
	case p.usesDriver():
		add(sidecar.EnvStoreReporter, sidecar.ReporterKeeper)
	case p.store == v1alpha1.StoreNode && !p.Namespace.Created.IsZero():
		add(sidecar.EnvNamespaceCreated, p.Namespace.Created.UTC().Format(time.RFC3339))
	}
	quota := p.Settings.NodeStoreQuota
	if p.store == v1alpha1.StorePod {
		quota = p.Settings.PodStoreSizeLimit
	}
	if quota != nil {
		add(sidecar.EnvStoreQuota, strconv.FormatInt(quota.Value(), 10))
	}
	if p.Settings.NodeStoreReserve != "" {
		add(sidecar.EnvStoreReserve, p.Settings.NodeStoreReserve)
	}
	return env
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

// securityContext of the runtime passes Pod Security's restricted level, but where the
// store is mounted from the node: there the runtime is root without any capability,
// because directories of a hostPath are root's. Everything that a pod-level context
// might set otherwise is set.
func (p plan) securityContext() *corev1.SecurityContext {
	if p.store == v1alpha1.StoreNode && !p.usesDriver() {
		return unprivilegedContext(0)
	}
	result := unprivilegedContext(p.user)
	if p.usesDriver() && p.Settings.SELinuxLevel != "" {
		result.SELinuxOptions = &corev1.SELinuxOptions{Level: p.Settings.SELinuxLevel}
	}
	return result
}

// unprivilegedContext is a user without any right but to read and write what is its own.
func unprivilegedContext(user int64) *corev1.SecurityContext {
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
