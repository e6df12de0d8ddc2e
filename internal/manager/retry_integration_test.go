// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manager_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/manager/managertest"
	"github.com/kuda-io/kuda/internal/pki"
	"github.com/kuda-io/kuda/internal/sidecar"
)

// failingReport says that every item failed.
func failingReport(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest {
	r := managertest.Delivery(a)
	for _, item := range r.GetItems() {
		item.Phase, item.Digest = gatewayv1alpha1.Phase_PHASE_FAILED, ""
		item.Reason, item.Message = v1alpha1.ReasonNotFound, "nothing is stored there"
	}
	return r
}

// untilToken plays a runtime that fails until it gets a token; it never tries by itself.
func untilToken(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest {
	if a.GetRetryToken() == "" {
		return failingReport(a)
	}
	return managertest.Delivery(a)
}

// dataOf waits until a pod's Data is as wanted.
func dataOf(t *testing.T, namespace, podName, what string, wanted func(*v1alpha1.Data) bool) *v1alpha1.Data {
	t.Helper()
	var found *v1alpha1.Data
	managertest.Eventually(t, what, func(ctx context.Context) (bool, error) {
		datas, err := cluster.Datas(ctx, namespace)
		for i := range datas {
			if datas[i].Spec.PodName == podName {
				found = &datas[i]
				return wanted(found), err
			}
		}
		return false, err
	})
	return found
}

func requestRetry(t *testing.T, d *v1alpha1.DataSet, revision, token string) string {
	t.Helper()
	request := "retry " + revision + " " + token
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, v1alpha1.AnnotationRolloutRequest, request)
	})
	return request
}

func TestARetryReachesWhatFailedAndNothingElse(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	d := cluster.DataSet(t, ns, "models", "web")
	var breaks atomic.Bool
	fails, works := cluster.Pod(t, ns, "fails", "web"), cluster.Pod(t, ns, "works", "web")
	m.PlayRuntime(t, cluster, fails, untilToken, "models")
	m.PlayRuntime(t, cluster, works, func(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest {
		if breaks.Load() {
			return failingReport(a)
		}
		return managertest.Delivery(a)
	}, "models")
	s := status(t, d, "one of two has its data", ready("1/2"))

	begun := time.Now()
	request := requestRetry(t, d, s.UpdateRevision, "first")
	status(t, d, "both have their data", ready("2/2"))
	// Two seconds are promised to users; a loaded machine takes its time.
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the failed item was tried %s after the request", took)
	}
	status(t, d, "the request is acknowledged", func(s v1alpha1.DataSetStatus) bool {
		return s.Rollout != nil && s.Rollout.Request == request
	})
	token := assignment.RequestToken(request)
	dataOf(t, ns, "fails", "the token stays", func(d *v1alpha1.Data) bool { return assignment.RetryToken(d) == token })
	if got := dataOf(t, ns, "works", "it is there", func(*v1alpha1.Data) bool { return true }); assignment.RetryToken(got) != "" {
		t.Errorf("a pod in which nothing failed was asked to try %q", assignment.RetryToken(got))
	}

	// What fails later is no matter of that request, also not for a new leader.
	breaks.Store(true)
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Template.DataItems[0].Version = "v2" })
	dataOf(t, ns, "works", "it fails", func(d *v1alpha1.Data) bool { return d.Status.Failed == 1 })
	m.Stop()
	cluster.StartManager(t)
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { metav1.SetMetaDataAnnotation(&d.ObjectMeta, "touched", "yes") })
	seen := status(t, d, "the new leader looks at it", func(v1alpha1.DataSetStatus) bool { return true })
	if got := dataOf(t, ns, "works", "it is there", func(*v1alpha1.Data) bool { return true }); assignment.RetryToken(got) != "" {
		t.Errorf("a request for %s is repeated: %q", seen.UpdateRevision, assignment.RetryToken(got))
	}
}

func TestARetryWhilePausedIsTakenUp(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	d := cluster.DataSet(t, ns, "models", "web", func(d *v1alpha1.DataSet) { d.Spec.Paused = true })
	m.PlayRuntime(t, cluster, cluster.Pod(t, ns, "fails", "web"), untilToken, "models")
	dataOf(t, ns, "fails", "it fails", func(d *v1alpha1.Data) bool { return d.Status.Failed == 1 })
	s := status(t, d, "it has a rollout", func(s v1alpha1.DataSetStatus) bool { return s.Rollout != nil })
	request := requestRetry(t, d, s.UpdateRevision, "first")
	status(t, d, "it has its data", func(s v1alpha1.DataSetStatus) bool { return s.Ready == "1/1" && s.Rollout.Request == request })
}

// The bytes are on the node, so the pods have their data without the Secret; the next
// node does not.
func TestMissingCredentialsAreAConditionOfTheirOwn(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	d := cluster.DataSet(t, ns, "models", "web")
	var made atomic.Bool
	lacking := func(a *gatewayv1alpha1.Assignment) *gatewayv1alpha1.ReportRequest {
		r := managertest.Delivery(a)
		r.Mounts = &gatewayv1alpha1.Mounts{}
		if !made.Load() {
			r.Mounts.Missing = []*gatewayv1alpha1.MissingMount{{Kind: "Secret", Name: "keys",
				State: gatewayv1alpha1.MountState_MOUNT_STATE_EMPTY}}
		}
		return r
	}
	condition := func(s v1alpha1.DataSetStatus) metav1.Condition {
		if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCredentialsAvailable); c != nil {
			return *c
		}
		return metav1.Condition{}
	}
	for _, name := range []string{"a", "b"} {
		m.PlayRuntime(t, cluster, cluster.Pod(t, ns, name, "web"), lacking, "models")
	}
	m.StartRuntime(t, cluster, cluster.Pod(t, ns, "old-runtime", "web"), "models")
	s := status(t, d, "it is said that the Secret is missing", func(s v1alpha1.DataSetStatus) bool {
		c := condition(s)
		return s.Ready == "3/3" && c.Status == metav1.ConditionFalse && strings.HasPrefix(c.Message, "2 of 2 pods")
	})
	if c := condition(s); c.Reason != v1alpha1.ReasonCredentialsMissing || !strings.Contains(c.Message, "pod a: Secret keys is not there") {
		t.Errorf("condition: %+v", c)
	}
	if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("Ready: %+v", ready)
	}
	made.Store(true)
	managertest.Edit(t, cluster, d, func(d *v1alpha1.DataSet) { d.Spec.Template.DataItems[0].Version = "v2" })
	status(t, d, "they are found", func(s v1alpha1.DataSetStatus) bool { return condition(s).Status == metav1.ConditionTrue })
}

// After Kuda was uninstalled and installed again, the runtimes of older pods trust
// another authority. They cannot say so; their pods' specs can.
func TestAPodOfAnEarlierInstallationIsSaidToBeOne(t *testing.T) {
	m := cluster.StartManager(t)
	ns := cluster.Namespace(t)
	d := cluster.DataSet(t, ns, "models", "web")
	old, err := pki.NewGeneration(pki.DefaultPolicy(), time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	given := func(bundle []byte) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.InitContainers[0].Env = []corev1.EnvVar{{Name: sidecar.EnvGatewayCA, Value: string(bundle)}}
		}
	}
	cluster.Pod(t, ns, "earlier", "web", given(old.CertificatePEM()))
	cluster.Pod(t, ns, "rotating", "web", given(append(old.CertificatePEM(), m.Bundle()...)))
	cluster.Pod(t, ns, "silent", "web", given(m.Bundle()))
	for podName, want := range map[string]string{
		"earlier": v1alpha1.ReasonAuthorityChanged, "rotating": v1alpha1.ReasonRuntimeNotConnected,
		"silent": v1alpha1.ReasonRuntimeNotConnected,
	} {
		data := dataOf(t, ns, podName, podName+" is said to be silent", func(d *v1alpha1.Data) bool { return assignment.Ready(d) != nil })
		if c := assignment.Ready(data); c.Reason != want || c.Status != metav1.ConditionFalse {
			t.Errorf("%s: %+v", podName, c)
		}
	}
	status(t, d, "the DataSet speaks of the pod", func(s v1alpha1.DataSetStatus) bool {
		c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
		return c != nil && strings.Contains(c.Message, "pod earlier: AuthorityChanged: Kuda was installed again")
	})
}
