//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/kuda-io/kuda/internal/admission"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1/gatewayv1alpha1connect"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// calls are what is done by those who are served.
func (w *world) calls(t *testing.T) []call {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(w.ca) {
		t.Fatal("the authority has no certificate")
	}
	secure := func() *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost"},
			ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	// A kubelet's probe has a connection of its own each time.
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	review := w.review(t)
	api := secure()
	return append(w.gatewayCalls(secure),
		call{"the API server's review", often, func(ctx context.Context) error {
			var got admissionv1.AdmissionReview
			if err := fetch(ctx, api, http.MethodPost, "https://"+w.webhook+admission.PathPods, review, &got); err != nil {
				return err
			}
			if got.Response == nil || !got.Response.Allowed || len(got.Response.Patch) == 0 {
				return fmt.Errorf("the pod was not injected: %+v", got.Response)
			}
			return nil
		}},
		call{"the kubelet's probe", often, func(ctx context.Context) error {
			return fetch(ctx, probe, http.MethodGet, "http://"+w.runtime+sidecar.PathReadyz, nil, nil)
		}},
		call{"the application's question", often, func(ctx context.Context) error {
			var got struct{ Connected bool }
			if err := fetch(ctx, http.DefaultClient, http.MethodGet, "http://"+w.runtimeLocal+sidecar.PathData, nil, &got); err != nil {
				return err
			}
			if !got.Connected {
				return errors.New("the runtime has lost the gateway")
			}
			return nil
		}},
	)
}

// Times between calls of a kind.
const (
	often  = 50 * time.Millisecond
	seldom = 250 * time.Millisecond
)

// bearer shows the token of a pod.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// gatewayCalls play a runtime: the stream of what the pod is to have begins
// anew, and what the pod has is reported.
func (w *world) gatewayCalls(secure func() *http.Client) []call {
	var clients []gatewayv1alpha1connect.GatewayServiceClient
	for _, token := range w.tokens {
		c := secure()
		c.Transport = bearer{token, c.Transport}
		clients = append(clients, gatewayv1alpha1connect.NewGatewayServiceClient(c, "https://"+w.gateway, connect.WithGRPC()))
	}
	watch := func(ctx context.Context, pod int) (*gatewayv1alpha1.WatchResponse, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := clients[pod].Watch(ctx, connect.NewRequest(&gatewayv1alpha1.WatchRequest{Datasets: []string{"model"}}))
		if err != nil {
			return nil, err
		}
		defer func() { _ = stream.Close() }()
		if !stream.Receive() {
			return nil, fmt.Errorf("the stream ended: %w", stream.Err())
		}
		if len(stream.Msg().GetAssignments()) == 0 {
			return nil, errors.New("the pod is to have nothing")
		}
		return stream.Msg(), nil
	}
	var assignment *gatewayv1alpha1.Assignment
	streams := 0
	return []call{
		{"the runtime's stream", seldom, func(ctx context.Context) error {
			streams++
			_, err := watch(ctx, 1+streams%(played-1))
			return err
		}},
		{"the runtime's report", 2 * often, func(ctx context.Context) error {
			if assignment == nil {
				msg, err := watch(ctx, 0)
				if err != nil {
					return err
				}
				assignment = msg.GetAssignments()[0]
			}
			_, err := clients[0].Report(ctx, connect.NewRequest(managertest.Delivery(assignment)))
			return err
		}},
	}
}

// review is what the API server posts for a new pod that the DataSet selects.
func (w *world) review(t *testing.T) []byte {
	t.Helper()
	pod, err := json.Marshal(&corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: "search-", Labels: map[string]string{"app": "search"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "search:1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "soak", Operation: admissionv1.Create, Namespace: w.namespace, Object: apiruntime.RawExtension{Raw: pod},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fetch asks, and reads the answer into result if that is given.
func fetch(ctx context.Context, c *http.Client, method, url string, body []byte, result any) error {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, content)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content, result)
}
