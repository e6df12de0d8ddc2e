//go:build scale

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/internal/admission"
)

// settleTime is longer than a DataSet, and a webhook that was started, are young.
const settleTime = 75 * time.Second

// prepareReviews makes the namespaces of the reviewed pods, so that their DataSets are no
// longer young when the reviews come.
func (w *world) prepareReviews(t *testing.T) {
	t.Helper()
	w.reviewed = map[int]string{}
	for text := range strings.SplitSeq(*reviewOf, ",") {
		count, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("-review-datasets: %v", err)
		}
		namespace := cluster.Namespace(t)
		for n := range count {
			cluster.DataSet(t, namespace, fmt.Sprintf("model-%04d", n), fmt.Sprintf("app-%04d", n))
		}
		w.reviewed[count] = namespace
	}
}

// awaitSettled waits until nothing is young.
func (w *world) awaitSettled(t *testing.T, began time.Time) {
	t.Helper()
	timer := time.NewTimer(time.Until(began.Add(settleTime)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// measureReviews sends reviews of pods that no DataSet selects, as many a second whether
// they are answered or not, and then as many of pods that one selects.
func (w *world) measureReviews(t *testing.T, r *result) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.ca)
	transport := &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost"}}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for text := range strings.SplitSeq(*reviewOf, ",") {
		count, _ := strconv.Atoi(text) // prepareReviews has read it
		for _, app := range []string{"stranger", "app-0000"} {
			if app != "stranger" && count == 0 {
				continue
			}
			body := reviewBody(t, w.reviewed[count], app)
			before := sample{manager: w.webhook.usage(t), calls: w.counters.read(t)}
			started := time.Now()
			took := w.sendReviews(t, c, body)
			r.add(fmt.Sprintf("reviews of %s, %d DataSets", app, count), time.Since(started), took, before,
				sample{manager: w.webhook.usage(t), calls: w.counters.read(t)})
			t.Log(r.last())
		}
	}
}

func reviewBody(t *testing.T, namespace, app string) []byte {
	t.Helper()
	pod, err := json.Marshal(&corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: "web-", Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{UID: types.UID("review"), Operation: admissionv1.Create, Namespace: namespace,
			Object: runtime.RawExtension{Raw: pod}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// sendReviews returns how long each answer took, from the moment at which the review was due.
func (w *world) sendReviews(t *testing.T, c *http.Client, body []byte) []time.Duration {
	t.Helper()
	_, port, err := net.SplitHostPort(w.hook)
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + net.JoinHostPort("localhost", port) + admission.PathPods
	var (
		mu    sync.Mutex
		took  []time.Duration
		group sync.WaitGroup
	)
	between := time.Second / time.Duration(*reviews)
	started := time.Now()
	ticker := time.NewTicker(between)
	defer ticker.Stop()
	for n := range int(*reviewFor / between) {
		<-ticker.C
		due := started.Add(time.Duration(n+1) * between)
		group.Go(func() {
			response, err := c.Post(url, "application/json", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("a review was answered with status %d", response.StatusCode)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, max(0, time.Since(due)))
		})
	}
	group.Wait()
	return took
}
