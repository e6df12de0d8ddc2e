// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// SystemNamespace is the namespace that Kuda is installed in unless another is named.
const SystemNamespace = "kuda-system"

// Names of what an installation has, as deploy/base writes them.
const (
	managerName       = "kuda-manager"
	webhookName       = "kuda-webhook"
	gatewayName       = "kuda-gateway"
	leaseName         = "kuda-manager"
	webhookConfigName = "kuda"
	probeName         = "kuda-doctor"
)

// installation is what is known of an installation.
type installation struct {
	now time.Time
	// namespace is where it is installed.
	namespace string
	// scope is the namespace whose DataSets are looked at; empty: all.
	scope string

	crds        map[string]fact[*unstructured.Unstructured]
	deployments map[string]fact[*appsv1.Deployment]
	lease       fact[*coordinationv1.Lease]
	slices      fact[*discoveryv1.EndpointSliceList]
	mutating    fact[*admissionregistrationv1.MutatingWebhookConfiguration]
	validating  fact[*admissionregistrationv1.ValidatingWebhookConfiguration]
	namespaces  fact[[]corev1.Namespace]
	// narrowed says that the scope is one namespace because the user may not
	// look at all.
	narrowed bool
	dataSets fact[[]v1alpha1.DataSet]
	data     fact[[]v1alpha1.Data]
	holdings holdings
	// scheduler is not part of every installation; config shows if pods use it.
	scheduler fact[*appsv1.Deployment]
	config    fact[*corev1.ConfigMap]
	// pullSecrets are those that the configuration gives to pods with the runtime.
	pullSecrets []pullSecret
	node        nodeDriver
	// hostPath is what a dry run of a pod with a hostPath volume led to, in a namespace
	// that names no Pod Security level.
	hostPath fact[string]
	// probe is what a dry run of a DataSet led to that the webhook has to refuse.
	probe error
}

// readInstallation reads what there is to know. Nothing that cannot be read
// stops it. Home is the namespace to look at where all are not allowed, and the
// one of the probe.
func readInstallation(ctx context.Context, c client.Client, system, scope, home string, now time.Time) *installation {
	in := &installation{now: now, namespace: system, scope: scope}
	in.crds = make(map[string]fact[*unstructured.Unstructured])
	for _, name := range crdNames {
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		in.crds[name] = readFact(ctx, c, "", name, crd)
	}
	in.deployments = map[string]fact[*appsv1.Deployment]{
		managerName: readFact(ctx, c, system, managerName, &appsv1.Deployment{}),
		webhookName: readFact(ctx, c, system, webhookName, &appsv1.Deployment{}),
	}
	in.lease = readFact(ctx, c, system, leaseName, &coordinationv1.Lease{})
	in.slices.value = &discoveryv1.EndpointSliceList{}
	in.slices.err = c.List(ctx, in.slices.value, client.InNamespace(system), client.MatchingLabels{discoveryv1.LabelServiceName: gatewayName})
	in.mutating = readFact(ctx, c, "", webhookConfigName, &admissionregistrationv1.MutatingWebhookConfiguration{})
	in.validating = readFact(ctx, c, "", webhookConfigName, &admissionregistrationv1.ValidatingWebhookConfiguration{})
	in.scheduler = readFact(ctx, c, system, schedulerName, &appsv1.Deployment{})
	in.config = readFact(ctx, c, system, configName, &corev1.ConfigMap{})
	in.readObjects(ctx, c, home)
	in.readHoldings(ctx, c)
	in.readPullSecrets(ctx, c)
	in.readNodeDriver(ctx, c)
	in.tryHostPath(ctx, c, home)
	in.probe = c.Create(ctx, probeDataSet(home), client.DryRunAll)
	return in
}

// readObjects reads DataSets and what belongs to them: of all namespaces, or,
// where that is forbidden and was not asked for, of home.
func (in *installation) readObjects(ctx context.Context, c client.Client, home string) {
	var sets v1alpha1.DataSetList
	err := c.List(ctx, &sets, client.InNamespace(in.scope))
	if apierrors.IsForbidden(err) && in.scope == "" {
		in.scope, in.narrowed = home, true
		err = c.List(ctx, &sets, client.InNamespace(in.scope))
	}
	in.dataSets = fact[[]v1alpha1.DataSet]{sets.Items, err}
	var data v1alpha1.DataList
	err = c.List(ctx, &data, client.InNamespace(in.scope))
	in.data = fact[[]v1alpha1.Data]{data.Items, err}
	if in.scope != "" {
		namespace := readFact(ctx, c, "", in.scope, &corev1.Namespace{})
		in.namespaces.err = namespace.err
		if namespace.err == nil {
			in.namespaces.value = []corev1.Namespace{*namespace.value}
		}
		return
	}
	var namespaces corev1.NamespaceList
	err = c.List(ctx, &namespaces)
	in.namespaces = fact[[]corev1.Namespace]{namespaces.Items, err}
}

func readFact[T client.Object](ctx context.Context, c client.Client, namespace, name string, into T) fact[T] {
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	return fact[T]{into, err}
}

// probeDataSet is a DataSet that passes the schema and that the webhook has to refuse:
// its two items are in each other's place.
func probeDataSet(namespace string) *v1alpha1.DataSet {
	item := func(name string) v1alpha1.DataItem {
		return v1alpha1.DataItem{
			Namespace: "default", Name: name, RemotePath: "probe", LocalPath: "probe", Version: "1", DataSourceType: v1alpha1.DataSourceHTTP,
		}
	}
	return &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{GenerateName: probeName + "-", Namespace: namespace},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"kuda.io/doctor": "probe"},
			Template: v1alpha1.DataTemplateSpec{
				DataItems:   []v1alpha1.DataItem{item("a"), item("b")},
				DataSources: v1alpha1.DataSources{HTTP: &v1alpha1.HTTPDataSource{URL: "http://probe.invalid"}},
			},
		},
	}
}
