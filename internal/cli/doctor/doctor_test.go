// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/cli/clitest"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/doctor"
)

// Names of what an installation has.
const (
	systemNamespace   = doctor.SystemNamespace
	managerName       = "kuda-manager"
	webhookName       = "kuda-webhook"
	gatewayName       = "kuda-gateway"
	leaseName         = "kuda-manager"
	webhookConfigName = "kuda"
	schedulerName     = "kuda-scheduler"
	configName        = "kuda-config"
	configKey         = "config.yaml"
	nodeNamespace     = "kuda-node"
	driverName        = "kuda-node"
	volumesPolicyName = "kuda-node-volumes"
	imagesName        = "kuda-node-images"
	failedCreate      = "FailedCreate"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// errRefused is what the API server says when the webhook did its work.
var errRefused = errors.New(
	`admission webhook "datasets.kuda.io" denied the request: spec.template.dataItems[1].localPath: is the same place`)

// cluster is a cluster for one look at it.
type cluster struct {
	objects []client.Object
	// refuse returns an error for what may not be read; nil: everything may.
	refuse func(kind, namespace string) error
	// probe is the answer to the dry run of a DataSet, hostPath that of a pod.
	probe, hostPath error
}

func (c cluster) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	refused := func(object any, namespace string) error {
		if c.refuse == nil {
			return nil
		}
		return c.refuse(kindOf(object), namespace)
	}
	w := clitest.New(now, interceptor.Funcs{
		Get: func(ctx context.Context, under client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if err := refused(object, key.Namespace); err != nil {
				return err
			}
			return under.Get(ctx, key, object, options...)
		},
		List: func(ctx context.Context, under client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			var o client.ListOptions
			o.ApplyOptions(options)
			if err := refused(list, o.Namespace); err != nil {
				return err
			}
			return under.List(ctx, list, options...)
		},
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, options ...client.CreateOption) error {
			var o client.CreateOptions
			o.ApplyOptions(options)
			if len(o.DryRun) == 0 {
				t.Errorf("doctor creates %T for good", object)
			}
			if _, ok := object.(*corev1.Pod); ok {
				return c.hostPath
			}
			return c.probe
		},
	}, c.objects...)
	p, err := w.RunIn(t, "default", func(f *frame.Frame) *cobra.Command {
		cmd := Command(f)
		f.AddFlags(cmd.Flags())
		return cmd
	}, args...)
	return p.Both.String(), err
}

// kindOf returns the kind of an object, or of the objects of a list.
func kindOf(object any) string {
	if o, ok := object.(runtime.Object); ok {
		if kind := o.GetObjectKind().GroupVersionKind().Kind; kind != "" {
			return strings.TrimSuffix(kind, "List")
		}
	}
	return strings.TrimSuffix(reflect.TypeOf(object).Elem().Name(), "List")
}

// sound is an installation that nothing is wrong with.
func sound(t *testing.T) []client.Object {
	t.Helper()
	ca := certificate(t, now.Add(365*24*time.Hour))
	hooks := func(service string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{CABundle: ca, Service: &admissionregistrationv1.ServiceReference{Name: service}}
	}
	duration, yes := int32(15), true
	renewed, holder := metav1.NewMicroTime(now.Add(-5*time.Second)), "kuda-manager-0"
	return append(crds(t),
		deployment(managerName, "v0.1.0", 2, 2), deployment(webhookName, "v0.1.0", 2, 2),
		&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: leaseName}, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, RenewTime: &renewed, LeaseDurationSeconds: &duration,
		}},
		&discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "kuda-gateway-x",
				Labels: map[string]string{discoveryv1.LabelServiceName: gatewayName}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{
				{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
				{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
			},
		},
		&admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhookConfigName},
			Webhooks: []admissionregistrationv1.MutatingWebhook{
				{Name: "pods.kuda.io", ClientConfig: hooks("kuda-webhook")}, {Name: "pods-required.kuda.io", ClientConfig: hooks("kuda-webhook")},
			}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhookConfigName},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{
				{Name: "datasets.kuda.io", ClientConfig: hooks("kuda-webhook")},
			}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop",
			Labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionRequired}}},
		dataSet("shop", "models", condition(v1alpha1.ConditionReady, "True", v1alpha1.ReasonDelivered, "4/4 pods have their data")),
	)
}

func crds(t *testing.T) []client.Object {
	t.Helper()
	var objects []client.Object
	for _, name := range []string{"datas", "datasets", "nodestores"} {
		objects = append(objects, readCRD(t, name))
	}
	return objects
}

func readCRD(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	raw, err := os.ReadFile("../../../deploy/base/crd/data.kuda.io_" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = yaml.YAMLToJSON(raw); err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &crd.Object); err != nil {
		t.Fatal(err)
	}
	return crd
}

func deployment(name, tag string, wanted, available int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &wanted, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Image: "registry.example.com:5000/kuda-io/" + name + ":" + tag}},
		}}},
		Status: appsv1.DeploymentStatus{AvailableReplicas: available},
	}
}

func certificate(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: until, IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func dataSet(namespace, name string, conditions ...metav1.Condition) *v1alpha1.DataSet {
	for i := range conditions {
		conditions[i].ObservedGeneration = 1
	}
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Generation: 1, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Spec:       v1alpha1.DataSetSpec{WorkloadSelector: map[string]string{"app": name}},
		Status: v1alpha1.DataSetStatus{ObservedGeneration: 1, Conditions: conditions, UpdateRevision: name + "-2",
			CurrentRevision: name + "-1"},
	}
}

func condition(kind, status, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: reason, Message: message}
}

func data(set, podName string, conditions ...metav1.Condition) *v1alpha1.Data {
	return &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: set + "-" + podName, Labels: map[string]string{v1alpha1.LabelDataSet: set},
			CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
		},
		Spec: v1alpha1.DataSpec{
			Revision: set + "-2", PodName: podName,
			DataItems: []v1alpha1.DataItem{{Namespace: "default", Name: "weights", Container: "server"}},
		},
		Status: v1alpha1.DataStatus{Conditions: conditions, NodeName: "node-1"},
	}
}

// replace puts objects in the place of those of the same kind and name.
func replace(objects []client.Object, with ...client.Object) []client.Object {
	for _, w := range with {
		found := false
		for i, o := range objects {
			if kindOf(o) == kindOf(w) && o.GetName() == w.GetName() {
				objects[i], found = w, true
			}
		}
		if !found {
			objects = append(objects, w)
		}
	}
	return objects
}

func forbid(kinds ...string) func(kind, namespace string) error {
	return func(kind, _ string) error {
		for _, k := range kinds {
			if k == kind || k == "*" {
				return apierrors.NewForbidden(schema.GroupResource{Resource: kind}, "", errors.New("no right"))
			}
		}
		return nil
	}
}
