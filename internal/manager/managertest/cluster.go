// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/apiservertest"
	"github.com/kuda-io/kuda/internal/sidecar"
)

const (
	patience = 30 * time.Second
	glance   = 20 * time.Millisecond
)

var errNoAssets = errors.New("KUBEBUILDER_ASSETS is empty; let it name a directory with etcd, kube-apiserver and kubectl")

// Cluster is an API server with Kuda's CRDs.
type Cluster struct {
	// Config is an administrator's.
	Config *rest.Config
	// Client is an administrator's and has no cache.
	Client client.Client

	environment *envtest.Environment
	stop        func() error
}

// NewCluster starts an API server. TestMain calls it once, and Stop at the end.
func NewCluster() (*Cluster, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errNoAssets
	}
	_, file, _, _ := runtime.Caller(0)
	deploy := filepath.Join(filepath.Dir(file), "../../../deploy/base")
	environment := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join(deploy, "crd")},
		ErrorIfCRDPathMissing: true,
	}
	// Clusters that enforce this ask for more rights where an owner reference
	// holds back a deletion.
	environment.ControlPlane.GetAPIServer().Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	cfg, stop, err := apiservertest.Start(environment)
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	scheme := apiruntime.NewScheme()
	for _, add := range []func(*apiruntime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, authenticationv1.AddToScheme, admissionregistrationv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building a scheme: %w", err)
		}
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if err := grantRights(context.Background(), c, deploy); err != nil {
		return nil, errors.Join(err, stop())
	}
	return &Cluster{Config: cfg, Client: c, environment: environment, stop: stop}, nil
}

// Stop stops the API server.
func (c *Cluster) Stop() error { return c.stop() }

// Namespace makes a namespace with a service account, as the cluster's own
// controllers would.
func (c *Cluster) Namespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	c.createObject(t, namespace)
	c.createObject(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: namespace.Name}})
	return namespace.Name
}

func (c *Cluster) createObject(t *testing.T, object client.Object) {
	t.Helper()
	if err := c.Client.Create(t.Context(), object); err != nil {
		t.Fatalf("creating %T: %v", object, err)
	}
}

// DataSet makes a DataSet of one item for the pods with the label app.
func (c *Cluster) DataSet(t *testing.T, namespace, name, app string, change ...func(*v1alpha1.DataSet)) *v1alpha1.DataSet {
	t.Helper()
	d := &v1alpha1.DataSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.DataSetSpec{
			WorkloadSelector: map[string]string{"app": app},
			Template: v1alpha1.DataTemplateSpec{
				DataItems: []v1alpha1.DataItem{{
					Name: "model", Namespace: "default", RemotePath: "m", LocalPath: name + "/m",
					Version: "v1", DataSourceType: v1alpha1.DataSourceMinIO,
				}},
				DataSources: v1alpha1.DataSources{MinIO: &v1alpha1.S3DataSource{Endpoint: "http://minio:9000", Bucket: "models"}},
			},
		},
	}
	for _, f := range change {
		f(d)
	}
	c.createObject(t, d)
	return d
}

// Pod makes a running and ready pod with the runtime and the label app.
func (c *Cluster) Pod(t *testing.T, namespace, name, app string, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: namespace,
			Labels:      map[string]string{"app": app},
			Annotations: map[string]string{v1alpha1.AnnotationInjected: "x", v1alpha1.AnnotationStore: v1alpha1.StorePod},
		},
		Spec: corev1.PodSpec{
			NodeName:           "n1",
			ServiceAccountName: "default",
			InitContainers:     []corev1.Container{{Name: sidecar.ContainerName, Image: "runtime", RestartPolicy: &always}},
			Containers:         []corev1.Container{{Name: "app", Image: "app"}},
		},
	}
	for _, f := range change {
		f(p)
	}
	c.createObject(t, p)
	Unready(p)
	p.Status.Phase, p.Status.Conditions[0].Status = corev1.PodRunning, corev1.ConditionTrue
	if err := c.Client.Status().Update(t.Context(), p); err != nil {
		t.Fatalf("making pod %s ready: %v", name, err)
	}
	return p
}

// Unready makes a pod not ready, from now on.
func Unready(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now(),
	}}
}

// EditPodStatus plays what the kubelet says of a pod.
func (c *Cluster) EditPodStatus(t *testing.T, p *corev1.Pod, change func(*corev1.Pod)) {
	t.Helper()
	Eventually(t, "the status is taken", func(ctx context.Context) (bool, error) {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return false, err
		}
		change(p)
		return c.Client.Status().Update(ctx, p) == nil, nil
	})
}

// Uninjected takes the runtime out of a pod.
func Uninjected(p *corev1.Pod) {
	p.Annotations, p.Spec.InitContainers = nil, nil
}

// Delete deletes at once, as the kubelet does in the end.
func (c *Cluster) Delete(t *testing.T, object client.Object) {
	t.Helper()
	if err := c.Client.Delete(t.Context(), object, client.GracePeriodSeconds(0)); err != nil {
		t.Fatalf("deleting %T: %v", object, err)
	}
}

// Edit changes an object until the change is taken.
func Edit[T client.Object](t *testing.T, c *Cluster, object T, change func(T)) {
	t.Helper()
	Eventually(t, "the edit is taken", func(ctx context.Context) (bool, error) {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err
		}
		change(object)
		return c.Client.Update(ctx, object) == nil, nil
	})
}

// Datas lists the Data of a namespace.
func (c *Cluster) Datas(ctx context.Context, namespace string) ([]v1alpha1.Data, error) {
	var list v1alpha1.DataList
	if err := c.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing Data: %w", err)
	}
	return list.Items, nil
}

// Events lists those that speak of an object.
func (c *Cluster) Events(ctx context.Context, object client.Object) ([]corev1.Event, error) {
	var list corev1.EventList
	if err := c.Client.List(ctx, &list, client.InNamespace(object.GetNamespace())); err != nil {
		return nil, fmt.Errorf("listing events: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.InvolvedObject.UID != object.GetUID() }), nil
}

// Eventually waits until the condition holds, and fails the test when it does not.
func Eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), glance, patience, true, condition); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}
