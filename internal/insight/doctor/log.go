// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Bounds of what is read of logs.
const (
	maxLogs     = 5
	logLines    = 20
	maxLogBytes = 16 << 10
)

// lastWords reads the end of the log of a container: of the instance before the present
// one, or of the present one, which may have ended.
type lastWords func(ctx context.Context, namespace, pod, container string, previous bool) (string, error)

// readLogs makes a lastWords for a cluster.
func readLogs(config *rest.Config) (lastWords, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.APIPath = "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	c, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for logs: %w", err)
	}
	return func(ctx context.Context, namespace, pod, container string, previous bool) (string, error) {
		lines, limit := int64(logLines), int64(maxLogBytes)
		options := &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines, LimitBytes: &limit}
		raw, err := c.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").
			VersionedParams(options, scheme.ParameterCodec).DoRaw(ctx)
		return string(raw), err
	}, nil
}

// endedBefore reports whether the instance of a container that ended last is the one
// before the present one. Where the present one has ended, the log of the one before
// may be gone: the kubelet keeps one beside that of the present one.
func endedBefore(c *corev1.ContainerStatus) bool { return c.State.Terminated == nil }

// logsCommand prints the log of a container's present instance, or of the one before.
func logsCommand(p *corev1.Pod, container string, previous bool) string {
	command := fmt.Sprintf("kubectl logs %s -n %s -c %s", p.Name, p.Namespace, container)
	if previous {
		command += " --previous"
	}
	return command
}
