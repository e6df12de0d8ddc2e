// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// The DataSets of a load, and the values of their pods' label "app". Public is read
// without credentials, from S3 and over HTTP; Private with the keys of a Secret.
const (
	Public  = "public"
	Private = "private"
)

const (
	credentials = "storage"
	// glance is how often something is looked at until it is as it should be.
	glance = 200 * time.Millisecond
)

// Storage is where a load's data is.
type Storage struct {
	// Client may write to the server.
	Client *minio.Client
	// AccessKey and SecretKey read what is not public.
	AccessKey, SecretKey string
	// Meter is what pods read through.
	Meter *Meter
}

// Load is pods that read their data while the version of Kuda changes.
type Load struct {
	kube      client.Client
	storage   Storage
	namespace string
}

// NewLoad stores version v1 and makes a namespace with the two DataSets in it.
func NewLoad(ctx context.Context, kube client.Client, s Storage) (*Load, error) {
	for bucket, public := range map[string]bool{bucketOf(Public): true, bucketOf(Private): false} {
		if err := s.makeBucket(ctx, bucket, public); err != nil {
			return nil, err
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "upgrade-"}}
	if err := kube.Create(ctx, ns); err != nil {
		return nil, fmt.Errorf("making a namespace: %w", err)
	}
	l := &Load{kube: kube, storage: s, namespace: ns.Name}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: credentials},
		StringData: map[string]string{"accessKey": s.AccessKey, "secretKey": s.SecretKey},
	}
	if err := kube.Create(ctx, secret); err != nil {
		return nil, fmt.Errorf("making the Secret: %w", err)
	}
	if err := s.put(ctx, "v1"); err != nil {
		return nil, err
	}
	for _, name := range []string{Public, Private} {
		ds := &v1alpha1.DataSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name}}
		ds.Spec.WorkloadSelector = map[string]string{"app": name}
		ds.Spec.Template = l.template(name, "v1")
		if err := kube.Create(ctx, ds); err != nil {
			return nil, fmt.Errorf("making the DataSet %s: %w", name, err)
		}
	}
	return l, nil
}

// Remove removes the namespace with all that is in it.
func (l *Load) Remove(ctx context.Context) error {
	return l.kube.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: l.namespace}})
}

// Namespace is where the load runs.
func (l *Load) Namespace() string { return l.namespace }

// Read returns how many bytes of a DataSet's objects were read so far.
func (l *Load) Read(name string) int64 { return l.storage.Meter.Read("/" + bucketOf(name) + "/") }

// SetVersion stores a version and rolls it out to the pods of both DataSets.
func (l *Load) SetVersion(ctx context.Context, version string) error {
	if err := l.storage.put(ctx, version); err != nil {
		return err
	}
	for _, name := range []string{Public, Private} {
		// Between reading and writing, the manager may write.
		err := wait.PollUntilContextTimeout(ctx, glance, 10*time.Second, true, func(ctx context.Context) (bool, error) {
			var ds v1alpha1.DataSet
			if err := l.kube.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: name}, &ds); err != nil {
				return false, err
			}
			ds.Spec.Template = l.template(name, version)
			return l.kube.Update(ctx, &ds) == nil, nil
		})
		if err != nil {
			return fmt.Errorf("giving the DataSet %s version %s: %w", name, version, err)
		}
	}
	return nil
}

// template is what a DataSet says of a version. Its hook leaves a file in the
// application's container by which CheckVersion knows that it ran.
func (l *Load) template(name, version string) v1alpha1.DataTemplateSpec {
	hook := &v1alpha1.Lifecycle{PostDownload: &v1alpha1.LifecycleHandler{
		Exec: &corev1.ExecAction{Command: []string{"/e2e-app", "touch", hooked(version)}},
	}}
	s3 := &v1alpha1.S3DataSource{Endpoint: l.storage.Meter.URL(), Bucket: bucketOf(name)}
	tree := v1alpha1.DataItem{Name: "tree", Namespace: "upgrade", RemotePath: version + "/tree/", LocalPath: "tree",
		Version: version, DataSourceType: v1alpha1.DataSourceMinIO, Lifecycle: hook}
	if name == Private {
		s3.SecretRef = &v1alpha1.SecretReference{Name: credentials}
		return v1alpha1.DataTemplateSpec{DataItems: []v1alpha1.DataItem{tree}, DataSources: v1alpha1.DataSources{MinIO: s3}}
	}
	page := v1alpha1.DataItem{Name: "file", Namespace: "upgrade", RemotePath: version + "/large.bin", LocalPath: "large.bin",
		Version: version, DataSourceType: v1alpha1.DataSourceHTTP}
	return v1alpha1.DataTemplateSpec{
		DataItems: []v1alpha1.DataItem{tree, page},
		DataSources: v1alpha1.DataSources{
			MinIO: s3, HTTP: &v1alpha1.HTTPDataSource{URL: l.storage.Meter.URL() + "/" + bucketOf(name)},
		},
	}
}

func hooked(version string) string { return "/tmp/hooked-" + version }

// WaitStrangers waits until the Data of each pod says that its runtime knows another
// authority than that of the installation.
func (l *Load) WaitStrangers(ctx context.Context, timeout time.Duration) error {
	var left []string
	err := wait.PollUntilContextTimeout(ctx, glance, timeout, true, func(ctx context.Context) (bool, error) {
		var list v1alpha1.DataList
		if err := l.kube.List(ctx, &list, client.InNamespace(l.namespace)); err != nil {
			return false, fmt.Errorf("listing Data: %w", err)
		}
		left = nil
		for i := range list.Items {
			ready := meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.ConditionReady)
			if ready == nil || ready.Reason != v1alpha1.ReasonAuthorityChanged {
				left = append(left, fmt.Sprintf("%s: %+v", list.Items[i].Name, ready))
			}
		}
		return len(list.Items) > 0 && len(left) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("waiting until Data say %s: %w; left: %s", v1alpha1.ReasonAuthorityChanged, err, strings.Join(left, "; "))
	}
	return nil
}

// WaitDelivered waits until n pods of a DataSet have all of it as it is now, and
// their runtimes have said so.
func (l *Load) WaitDelivered(ctx context.Context, name string, n int32, timeout time.Duration) error {
	var s v1alpha1.DataSetStatus
	err := wait.PollUntilContextTimeout(ctx, glance, timeout, true, func(ctx context.Context) (bool, error) {
		var ds v1alpha1.DataSet
		if err := l.kube.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: name}, &ds); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		s = ds.Status
		return s.ObservedGeneration == ds.Generation && s.Replicas == n && s.UpdatedReplicas == n && s.Success == n &&
			meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionReady), nil
	})
	if err != nil {
		return fmt.Errorf("waiting until DataSet %s is delivered to %d pods: %w; its status: %+v", name, n, err, s)
	}
	return nil
}
