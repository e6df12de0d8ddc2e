// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inject

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/internal/sidecar"
)

func TestTheRuntimeLeavesThePortThatAContainerDeclares(t *testing.T) {
	tcp := func(ports ...int32) []corev1.ContainerPort {
		var list []corev1.ContainerPort
		for _, port := range ports {
			list = append(list, corev1.ContainerPort{ContainerPort: port})
		}
		return list
	}
	app := func(change func(*corev1.Container)) func(*corev1.Pod) {
		return func(p *corev1.Pod) { change(&p.Spec.Containers[0]) }
	}
	get := func(host string, port intstr.IntOrString) *corev1.HTTPGetAction {
		return &corev1.HTTPGetAction{Host: host, Port: port}
	}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   int32
	}{
		"no container":        {func(*corev1.Pod) {}, 8888},
		"the application":     {app(func(c *corev1.Container) { c.Ports = tcp(80, 8888) }), 18888},
		"and the next one":    {app(func(c *corev1.Container) { c.Ports = tcp(18888, 18889, 8888) }), 18890},
		"only the next one":   {app(func(c *corev1.Container) { c.Ports = tcp(18888) }), 8888},
		"with a port of host": {app(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 8888, HostPort: 80}} }), 18888},
		"a port of the host":  {app(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8888}} }), 8888},
		"by UDP": {app(func(c *corev1.Container) {
			c.Ports = []corev1.ContainerPort{{ContainerPort: 8888, Protocol: corev1.ProtocolUDP}}
		}), 8888},
		"an init container": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Ports: tcp(8888)}}
		}, 18888},
		"a native sidecar": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Ports: tcp(8888)}}
		}, 18888},
		"a probe": {app(func(c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("", intstr.FromInt32(8888))}}
		}), 18888},
		"a probe by gRPC": {app(func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 8888}}}
		}), 18888},
		"a probe of another host": {app(func(c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("example.com", intstr.FromInt32(8888))}}
		}), 8888},
		"a probe of a named port": {app(func(c *corev1.Container) {
			c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("", intstr.FromString("web"))}}
		}), 8888},
		"a hook": {app(func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8888)}}}
		}), 18888},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustInject(t, request(pod(c.change)))
			at := slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar.ContainerName })
			runtime := p.Spec.InitContainers[at]
			variable := corev1.EnvVar{Name: sidecar.EnvServerPort, Value: strconv.Itoa(int(c.want))}
			if got := runtime.StartupProbe.HTTPGet.Port.IntVal; got != c.want || !slices.Contains(runtime.Env, variable) {
				t.Errorf("the probe asks port %d, the runtime is told %v; want %d", got, runtime.Env, c.want)
			}
			if !slices.Contains(p.Spec.Containers[0].Env, variable) {
				t.Errorf("the application is told %v; want %v", p.Spec.Containers[0].Env, variable)
			}
			in := settings()
			if moved := len(Warnings(p, &in, nil)) > 0; moved != (c.want != 8888) {
				t.Errorf("warned: %t", moved)
			}
		})
	}
}

func TestAPortThatIsDeclaredLaterMovesTheRuntimeEverywhere(t *testing.T) {
	p := mustInject(t, request(pod()))
	p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "notebook", Ports: []corev1.ContainerPort{{ContainerPort: 8888}}})
	p = mustInject(t, request(p))
	want := corev1.EnvVar{Name: sidecar.EnvServerPort, Value: "18888"}
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		if !slices.Contains(c.Env, want) {
			t.Errorf("container %s is told %v", c.Name, c.Env)
		}
	}
	in := settings()
	if got := strings.Join(Warnings(p, &in, nil), "\n"); !strings.Contains(got, "container notebook declares it") {
		t.Errorf("got %q", got)
	}
}
