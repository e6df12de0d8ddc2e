// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/internal/sidecar"
)

// The ports that the runtime moves to where the pod has a use for the configured
// one. They end below 32768, where the node's ephemeral ports begin: a connection
// that a container opens may occupy one of those.
const (
	firstOtherPort int32 = 18888
	lastOtherPort  int32 = 32767
)

// serverPort returns the port of the runtime's local API in this pod: the
// configured one, or, where another container declares that, the first one of the
// others that none declares. The containers of a pod have one network, so that only one
// of them can listen on a port.
func serverPort(configured int32, spec *corev1.PodSpec) (int32, error) {
	declared := declaredPorts(spec)
	if _, taken := declared[configured]; !taken {
		return configured, nil
	}
	for port := firstOtherPort; port <= lastOtherPort; port++ {
		if _, taken := declared[port]; !taken {
			return port, nil
		}
	}
	return 0, fmt.Errorf("container %s declares port %d, where Kuda's runtime listens, and the pod's containers declare all ports from %d "+
		"to %d, to which it could move; free one of them",
		declared[configured], configured, firstOtherPort, lastOtherPort)
}

// declaredPorts are the TCP ports that the pod's own containers declare, with the
// name of the container that does. A number in a probe or in a hook that asks
// the pod itself tells of a port as well as a containerPort does, which is optional.
func declaredPorts(spec *corev1.PodSpec) map[int32]string {
	declared := map[int32]string{}
	for c := range appContainers(spec) {
		for _, p := range c.Ports {
			if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
				declared[p.ContainerPort] = c.Name
			}
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			if probe == nil {
				continue
			}
			addAsked(declared, c.Name, probe.HTTPGet, probe.TCPSocket)
			if probe.GRPC != nil {
				declared[probe.GRPC.Port] = c.Name
			}
		}
		if c.Lifecycle == nil {
			continue
		}
		for _, hook := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if hook != nil {
				addAsked(declared, c.Name, hook.HTTPGet, hook.TCPSocket)
			}
		}
	}
	return declared
}

// addAsked adds the ports that a probe or a hook asks the pod itself on. A probe or
// hook that names a host asks another server.
func addAsked(declared map[int32]string, container string, get *corev1.HTTPGetAction, socket *corev1.TCPSocketAction) {
	if get != nil && get.Host == "" && get.Port.Type == intstr.Int {
		declared[get.Port.IntVal] = container
	}
	if socket != nil && socket.Host == "" && socket.Port.Type == intstr.Int {
		declared[socket.Port.IntVal] = container
	}
}

// ServerPort returns the port of the runtime's local API in an injected pod; 0 where
// the pod does not say.
func ServerPort(pod *corev1.Pod) int32 {
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.Name != sidecar.ContainerName {
			continue
		}
		for _, e := range c.Env {
			if port, err := strconv.ParseInt(e.Value, 10, 32); e.Name == sidecar.EnvServerPort && err == nil {
				return int32(port)
			}
		}
	}
	return 0
}

// PortRival returns the container that declares the port on which the runtime of an
// injected pod listens; empty if none does.
func PortRival(pod *corev1.Pod) string { return declaredPorts(&pod.Spec)[ServerPort(pod)] }

// portVariable tells a container where the runtime's local API is.
func portVariable(port int32) corev1.EnvVar {
	return corev1.EnvVar{Name: sidecar.EnvServerPort, Value: strconv.Itoa(int(port))}
}

// portWarnings say that the runtime is not where the installation has it.
func portWarnings(pod *corev1.Pod, configured int32) []string {
	container, taken := declaredPorts(&pod.Spec)[configured]
	if !taken {
		return nil
	}
	return []string{fmt.Sprintf("Kuda's runtime does not listen on port %d in this pod, because container %s declares it; containers find "+
		"the port in the variable %s.",
		configured, container, sidecar.EnvServerPort)}
}
