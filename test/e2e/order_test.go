// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// warnings are what the API server says beside its answers.
type warnings []string

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	*w = append(*w, text)
}

// createHearing is create that returns the warnings.
func createHearing(t *testing.T, o client.Object) string {
	t.Helper()
	heard := &warnings{}
	config := rest.CopyConfig(restConfig)
	config.WarningHandlerWithContext = heard
	c, err := client.New(config, client.Options{Scheme: kube.Scheme(), Mapper: kube.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatalf("creating %T %s/%s: %v", o, o.GetNamespace(), o.GetName(), err)
	}
	return strings.Join(*heard, "\n")
}

// behindProxy is a pod with a sidecar that leads to MinIO.
func behindProxy(ns, name, after string) *corev1.Pod {
	p := pod(ns, name, "mesh", "wait")
	p.Annotations = map[string]string{v1alpha1.AnnotationStartAfter: after}
	p.Spec.InitContainers = []corev1.Container{{
		Name: "proxy", Image: appImage, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways),
		Args: []string{"proxy", "127.0.0.1:19000", strings.TrimPrefix(inCluster, "http://")},
	}}
	return p
}

func TestARuntimeReachesItsSourceThroughASidecarOfThePod(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, nil)
	store.put(t, "order/x.txt", []byte(delivered))
	ds := dataSet(ns, "mesh", item("x", "order/x.txt", "v1"))
	ds.Spec.Template.DataSources.MinIO.Endpoint = "http://127.0.0.1:19000"
	create(t, ds)
	p := behindProxy(ns, "mesh", "proxy")
	if heard := createHearing(t, p); strings.Contains(heard, "does not wait") {
		t.Errorf("warned of a sidecar that is there: %s", heard)
	}
	waitDelivered(t, ds, 1, time.Minute)
	if got := reads(t, p, "x"); got != delivered {
		t.Errorf("the application reads %q", got)
	}
	if first, second := p.Spec.InitContainers[0].Name, p.Spec.InitContainers[1].Name; first != "proxy" || second != sidecar.ContainerName {
		t.Errorf("init containers: %s, %s", first, second)
	}
	// A name that no sidecar has is said at once, and changes nothing.
	lost := behindProxy(ns, "lost", "istio-proxy")
	if heard := createHearing(t, lost); !strings.Contains(heard, "does not wait for istio-proxy") {
		t.Errorf("warned: %q", heard)
	}
	if got := lost.Spec.InitContainers[0].Name; got != sidecar.ContainerName {
		t.Errorf("%s is the first", got)
	}
}
