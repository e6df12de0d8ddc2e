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

// lastWords reads the end of the log that a container left when it last ended.
type lastWords func(ctx context.Context, namespace, pod, container string) (string, error)

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
	return func(ctx context.Context, namespace, pod, container string) (string, error) {
		lines, limit := int64(logLines), int64(maxLogBytes)
		options := &corev1.PodLogOptions{Container: container, Previous: true, TailLines: &lines, LimitBytes: &limit}
		raw, err := c.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").
			VersionedParams(options, scheme.ParameterCodec).DoRaw(ctx)
		return string(raw), err
	}, nil
}
