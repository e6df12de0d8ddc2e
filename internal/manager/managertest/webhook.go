// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/internal/admission"
	"github.com/kuda-io/kuda/internal/admission/intake"
	"github.com/kuda-io/kuda/internal/config"
	"github.com/kuda-io/kuda/internal/inject"
)

// RuntimeImage is what the webhook injects.
const RuntimeImage = "kuda-runtime:test"

// StartWebhook has the pods of a namespace injected, as kuda-webhook does, until
// the returned function is called or the test ends.
func (c *Cluster) StartWebhook(t *testing.T, namespace string) (stop func()) {
	t.Helper()
	settings, err := config.Parse(nil, RuntimeImage)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	counts, err := admission.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	gate, err := intake.NewGate(registry)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	admission.Register(registrar{mux}, gate, admission.Pods{
		Cache: c.Client, Live: c.Client, Metrics: counts, Log: logr.Discard(),
		Settings: func() inject.Settings { return settings.Settings(nil) },
	}, &admission.DataSets{Log: logr.Discard()})
	var asked atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		mux.ServeHTTP(w, r)
	}))
	url, ignore, none := server.URL+admission.PathPods, admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNone
	hook := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "kuda-" + namespace},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "pods.kuda.io", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &ignore, SideEffects: &none,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      &url,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	c.createObject(t, hook)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		// The test's own context has ended when it cleans up.
		if err := c.Client.Delete(context.Background(), hook); err != nil {
			t.Errorf("deleting the webhook: %v", err)
		}
		server.Close()
	}
	t.Cleanup(stop)
	Eventually(t, "the API server asks the webhook", func(ctx context.Context) (bool, error) {
		probe := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: namespace},
			Spec:       corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "probe", Image: "probe"}}},
		}
		err := c.Client.Create(ctx, probe, client.DryRunAll)
		return asked.Load(), err
	})
	return stop
}

type registrar struct{ mux *http.ServeMux }

// Register implements admission.Server.
func (r registrar) Register(path string, handler http.Handler) { r.mux.Handle(path, handler) }
